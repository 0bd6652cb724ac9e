"""What recording costs: iterations of one Runner with the hook and without it, in turn, and what each part takes.

    python benchmarks/recording_cost.py [--case ann_small] [--size 128x128] [--pairs 30]

Prints the ratio with / without, pair by pair (median and quartiles), and the time of each part. The hook should cost at
most 3 %; evaluation mode, which it asks for three times a run, comes on top of that.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.runner import Runner

from harness.devices.mmengine_adapter import teach_mmengine
from harness.devices.surroundings import git_commit, versions
from harness.recording.batches import batch_digest
from harness.recording.dropout import HostDropout
from harness.recording.evaluation import EvaluationProbe
from harness.recording.norms import StateNorms
from harness.recording.recorder import Recorder
from harness.recording.reductions import block_norms, fetch
from harness.running.cases import find_case, load_config
from harness.store.stream import TraceStream
from harness.training.mmengine_runner import ObserverHook, RunnerTraining


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--case", default="ann_small")
    parser.add_argument("--size", default="128x128", help="height x width of the crops")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--pairs", type=int, default=30)
    parser.add_argument("--device", default="cpu", choices=("cpu", "cuda"))
    arguments = parser.parse_args()
    height, width = map(int, arguments.size.split("x"))
    with tempfile.TemporaryDirectory() as folder:
        runner, batch = build(arguments, height, width, Path(folder))
        stream = TraceStream(Path(folder) / "stream", 10_000)
        hook = ObserverHook(Recorder(stream, planned=30, seed=0))
        hook.before_train(runner)
        ratios, plain = in_turn(runner, hook, batch, arguments.pairs, arguments.device)
        parts = parts_of(runner, batch, arguments.device)
    low, middle, high = statistics.quantiles(ratios, n=4)
    print(
        f"{arguments.case}, {arguments.batch}×{height}×{width}, {arguments.device}, {torch.get_num_threads()} threads"
    )
    print(f"torch {versions()['torch']}, commit {git_commit(Path(__file__).parent) or 'none'}")
    print(f"one iteration without: {1e3 * statistics.median(plain):.1f} ms (median of {len(plain)})")
    print(f"with / without: {middle:.4f} (quartiles {low:.4f} … {high:.4f})")
    for name, seconds in parts.items():
        print(f"  {name:<34} {1e3 * seconds:7.2f} ms  {100 * seconds / statistics.median(plain):5.2f} %")


def build(arguments: argparse.Namespace, height: int, width: int, folder: Path) -> tuple[Runner, Any]:
    """A Runner that is ready to train, and one batch."""
    case = find_case(arguments.case)
    config = load_config(case.config, [f"train_dataloader.batch_size={arguments.batch}"])
    for transform in config.train_dataloader.dataset.pipeline:
        if transform.type == "RandomCrop":
            transform.crop_size = (height, width)
    config.work_dir = str(folder)
    config.default_hooks = {"logger": None, "checkpoint": None, "timer": None}
    config.log_level = "ERROR"
    config.train_cfg = {"type": "IterBasedTrainLoop", "max_iters": 10_000}
    config.randomness = {"seed": 0}
    teach_mmengine(arguments.device)
    runner = Runner.from_cfg(config)
    runner.train_loop  # noqa: B018  # building it is what the access is for
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.optim_wrapper.initialize_count_status(runner.model, 0, 10_000)
    runner.model.train()
    return runner, next(iter(runner.train_dataloader))


def in_turn(runner: Runner, hook: ObserverHook, batch: Any, pairs: int, device: str) -> tuple[list[float], list[float]]:
    """Ratios with / without of each pair, and the times without."""

    def recorded() -> None:
        hook.before_train_iter(runner, 0, batch)
        hook.after_train_iter(runner, 0, batch, runner.model.train_step(batch, runner.optim_wrapper))

    def plain() -> None:
        runner.model.train_step(batch, runner.optim_wrapper)

    for _ in range(3):
        timed(recorded, device)
        timed(plain, device)
    ratios, times = [], []
    for number in range(pairs):
        first, second = (recorded, plain) if number % 2 else (plain, recorded)
        seconds = {first: timed(first, device), second: timed(second, device)}
        ratios.append(seconds[recorded] / seconds[plain])
        times.append(seconds[plain])
    return ratios, times


def parts_of(runner: Runner, batch: Any, device: str) -> dict[str, float]:
    """Seconds of each part of the hook, median of many."""
    norms, probe = StateNorms.of(runner.model), EvaluationProbe(planned=30)
    probe.keep(batch)
    with HostDropout():
        runner.model(**runner.model.data_preprocessor(batch, True), mode="loss")["decode.loss_ce"].backward()
    norms.before_update()
    updates, samples, _ = norms.sampled()
    weights, buffers = norms.weights(), norms.buffers()
    gradients = norms.gradients(runner.model.parameters())
    alone = [p.grad for p in runner.model.parameters() if p.grad is not None]
    with tempfile.TemporaryDirectory() as folder:
        stream = TraceStream(Path(folder) / "stream", 1)
        state = dict.fromkeys([*weights, *buffers], 1.0 / 3.0)
        parts: dict[str, Callable[[], Any]] = {
            "batch digest": lambda: batch_digest(batch),
            "gradient norms": lambda: norms.gradients(runner.model.parameters()),
            "gradient norms, by one long sum": lambda: torch._foreach_norm(alone),
            "update: keep a sample before": norms.before_update,
            "update and parameters: the sample": norms.sampled,
            "buffer norms": lambda: block_norms(norms.buffers().values()),
            "fetch all in one transfer": lambda: fetch(gradients, updates, samples, block_norms(buffers.values())),
            "parameter norms (few iterations)": lambda: block_norms(norms.weights().values()),
            "write the state (few iterations)": lambda: stream.append(0, {"loss": 1.0}, "", state),
            "seed the host's generator": lambda: torch.default_generator.manual_seed(1),
            "evaluation mode (few iterations)": lambda: probe.ask(RunnerTraining(runner), 0),
        }
        return {name: statistics.median(timed(part, device) for _ in range(20)) for name, part in parts.items()}


def timed(part: Callable[[], Any], device: str) -> float:
    """Seconds of one call, the device's work included."""
    started = time.perf_counter()
    part()
    if device == "cuda":
        torch.cuda.synchronize()
    return time.perf_counter() - started


if __name__ == "__main__":
    main()
