"""A process that runs many experiments one after the other: the device is put in once, modules are imported once.

It is asked through a pipe and answers each request. Whatever a run prints goes to a log. A run that ends by an error
of its own ends the process too: what it left behind could touch the next.
"""

from __future__ import annotations

import contextlib
import gc
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from harness.lab.power.finished_run import Ending, write_outcome
from harness.lab.power.study_folder import ERRORS, SAMPLES
from harness.lab.power.study_run import Experiment, Kind
from harness.rules.gate import Gate
from harness.running.folder import PROVENANCE, STREAM
from harness.running.lifeline import die_with_parent
from harness.running.order import Order
from harness.store.baselines import load_baseline
from harness.store.provenance_file import read_provenance
from harness.values.trace import Trace

__all__ = ["Request", "own_its_output", "serve"]


@dataclass(frozen=True)
class Request:
    """What a worker is asked for.

    Args:
        experiment: what to run.
        folder: where it leaves its files.
        twin: the folder of its twin; empty where it has none.
        baselines: root of the baselines.
        tier: the precision tier that is demanded.
        rate: the gate's false-alarm rate.
    """

    experiment: Experiment
    folder: str
    twin: str
    baselines: str
    tier: str
    rate: float


def serve(pipe: Connection, log: str) -> None:
    """Serve until the pipe ends, or a run has ended by an error.

    Args:
        pipe: brings requests; each is answered with whether the process goes on.
        log: file for what it prints.
    """
    own_its_output(log)
    with contextlib.suppress(EOFError):
        goes_on = True
        while goes_on:
            goes_on = _serve(pipe.recv())
            pipe.send(goes_on)


def own_its_output(log: str) -> None:
    """Make this process the first of a group, which is killed as one, and have all that it prints in a file."""
    os.setsid()
    die_with_parent()
    handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    for stream in (1, 2):
        os.dup2(handle, stream)
    os.close(handle)


def _serve(asked: Request) -> bool:
    folder, started = Path(asked.folder), time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        ending, error = _run(asked, folder), ""
        _forget()
    except Exception as failure:  # noqa: BLE001  # a fault may raise anything: that is how it is seen
        ending, error = Ending.CRASHED, f"{type(failure).__name__}: {failure}"
    write_outcome(folder, asked.experiment, ending, error, time.monotonic() - started)
    return ending is not Ending.CRASHED


def _run(asked: Request, folder: Path) -> Ending:
    """The emulated device is put in before anything of torch has run, also where this experiment runs on the CPU."""
    from harness.devices.choice import choose_device
    from harness.devices.device_opening import open_device
    from harness.lab.emulation import install
    from harness.lab.faults import parse_fault
    from harness.recording.clock import set_iteration

    experiment = asked.experiment
    install(experiment.profile or "exact")
    set_iteration(0)
    faults = tuple(parse_fault(text) for text in experiment.faults)
    trusted = experiment.kind is Kind.REPEAT
    device = open_device(choose_device(experiment.device), experiment.profile, faults, trusted=trusted)

    from harness.lab.power.channels_last import ChannelsLastHook
    from harness.lab.power.fingerprint import FingerprintHook
    from harness.lab.power.stopping import SeenEnoughError, ShadowStopHook, StopHook
    from harness.running.cases import load_configured_case
    from harness.running.experiment import run_experiment

    case, config = load_configured_case(experiment.config, import_modules=True)
    config.experiment_name = folder.name
    hooks: list[Any] = [ChannelsLastHook()] if experiment.channels_last else []
    fingerprint = None
    if experiment.measures_gradients:
        is_twin = experiment.kind is Kind.TWIN
        samples = None if is_twin else _samples(asked.twin)
        fingerprint = FingerprintHook(folder / (SAMPLES if is_twin else ERRORS), samples)
        hooks.append(fingerprint)
    if experiment.shadow:
        enough = ShadowStopHook(folder, experiment.shadow, experiment.shadow_tier, when_found=experiment.stops)
        hooks.append(enough)
    elif experiment.stops:
        gate = _gate(asked.baselines, experiment.case, asked.tier, experiment.iterations, asked.rate)

        def is_seen(trace: Trace) -> bool:
            return gate.decided(trace, read_provenance(folder / PROVENANCE)) is not None

        hooks.append(StopHook(folder / STREAM, is_seen, experiment.settle))
    order = _order(experiment)
    try:
        with _kernels(experiment):
            run_experiment(order, case, config, device, faults, folder, hooks)
    except SeenEnoughError as ended:
        return Ending.COMPLETE if ended.whole else Ending.STOPPED
    finally:
        if fingerprint is not None:
            fingerprint.close()
    return Ending.COMPLETE


def _order(experiment: Experiment) -> Order:
    return Order(
        config=experiment.config,
        device=experiment.device,
        profile=experiment.profile,
        faults=experiment.faults,
        iterations=experiment.iterations,
        noise_tier=experiment.noise_tier,
        noise_seed=experiment.noise_seed,
        command=f"align power {experiment.case}",
        trusted=experiment.kind is Kind.REPEAT,
        shadow=experiment.shadow,
        shadow_tier=experiment.shadow_tier or Order.shadow_tier,
        shadow_forced=experiment.forced,
    )


@contextlib.contextmanager
def _kernels(experiment: Experiment) -> Iterator[None]:
    """The host's kernels that the experiment asks for; the process's own afterwards."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(experiment.threads)
    try:
        with torch.backends.mkldnn.flags(enabled=experiment.onednn):
            yield
    finally:
        torch.set_num_threads(threads)


@lru_cache(maxsize=1)
def _samples(twin: str) -> Any:
    from harness.lab.power.fingerprint import load_samples

    return load_samples(Path(twin) / SAMPLES)


@lru_cache(maxsize=4)
def _gate(baselines: str, case: str, tier: str, iterations: int, rate: float) -> Gate:
    from harness.running.cases import find_case

    return Gate(load_baseline(Path(baselines), case, find_case(case).reference), iterations, tier, rate)


def _forget() -> None:
    """Let the model, its Runner and mmengine's registers of them go."""
    from mmengine.logging import MessageHub, MMLogger
    from mmengine.visualization import Visualizer

    for logger in MMLogger._instance_dict.values():
        for handler in list(logger.handlers):
            handler.close()
    for kind in (MMLogger, MessageHub, Visualizer):
        kind._instance_dict.clear()
    gc.collect()
