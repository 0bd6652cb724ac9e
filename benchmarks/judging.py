"""What judging costs: time and memory to judge many runs of one case by one baseline.

    python benchmarks/judging.py [--traces 1000] [--iterations 200] [--tensors 400] [--every-iteration]

The runs are made up: healthy ones, of the precision that the gate demands and of the tighter one, and every fourth with
a tensor that is off. Tensors' norms lie at the iterations where a run records them, or at all with --every-iteration.
Prints the time to compute the bounds, to judge each run, to ask of each run after every tenth iteration whether it is
decided, and the peak resident size of the process.
"""

from __future__ import annotations

import argparse
import resource
import time
from collections import Counter
from dataclasses import replace

import numpy as np

from harness.rules.gate import Gate
from harness.values.baseline import Baseline
from harness.values.provenance import Device, Provenance
from harness.values.trace import FloatArray, IntArray, StateTable, Trace

REPEATS = 8
NOISE = {"fp32": 1e-6, "tf32": 1e-4}
CLASSES = 19
SIGNALS = ("decode.loss_ce", "aux.loss_ce", "grad_norm", "update_norm", "param_norm", "bn_mean_norm", "bn_var_norm")


def main() -> None:
    """Make the runs up, judge them, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--traces", type=int, default=1000)
    parser.add_argument("--iterations", type=int, default=200)
    parser.add_argument("--tensors", type=int, default=400)
    parser.add_argument("--every-iteration", action="store_true")
    arguments = parser.parse_args()
    at = np.arange(arguments.iterations, dtype=np.int64)
    if not arguments.every_iteration:  # as a run records them: the first, the powers of two, the last
        at = at[((at & (at - 1)) == 0) | (at == at[-1])]
    baseline = make_baseline(arguments.iterations, arguments.tensors, at)
    started = time.perf_counter()
    gate = Gate(baseline, arguments.iterations)
    gate.judge(baseline.tiers["tf32"][0], baseline.provenance)
    print(f"bounds of {len(NOISE)} tiers of {REPEATS} runs: {time.perf_counter() - started:.2f} s")
    verdicts: Counter[str] = Counter()
    judging = deciding = 0.0
    questions = 0
    for number in range(arguments.traces):
        trace = make_candidate(number, arguments.iterations, arguments.tensors, at)
        started = time.perf_counter()
        verdicts[gate.judge(trace, baseline.provenance).status.value] += 1
        judging += time.perf_counter() - started
        for seen in range(1, arguments.iterations, 10):
            partial = replace(trace.head(seen), planned=trace.planned, complete=False)
            started = time.perf_counter()
            decided = gate.decided(partial, baseline.provenance)
            deciding += time.perf_counter() - started
            questions += 1
            if decided is not None or number >= arguments.traces // 10:
                break
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    what = f"{arguments.traces} runs of {arguments.iterations} iterations with {arguments.tensors} tensors at {len(at)}"
    print(f"{what}: {judging:.2f} s ({1e3 * judging / arguments.traces:.2f} ms each), {dict(verdicts)}")
    print(f"asked {questions} times whether a run is decided: {1e3 * deciding / questions:.2f} ms each")
    print(f"peak resident size: {peak:.0f} MiB")


def make_baseline(iterations: int, tensors: int, at: IntArray) -> Baseline:
    """Healthy runs at each tier."""
    tiers = {
        tier: tuple(make_trace(1000 * place + seed, noise, iterations, tensors, at) for seed in range(REPEATS))
        for place, (tier, noise) in enumerate(NOISE.items())
    }
    settings = {f"model.backbone.stages.{number}.depth": "3" for number in range(300)}
    provenance = Provenance(
        "made_up", settings, "ab" * 32, 0, "fp32", 1, 2, iterations, Device("cpu", "a processor"),
        versions={"torch": "2.13.0"}, host={"machine": "x86_64"},
    )  # fmt: skip
    return Baseline("made_up", "cpu", tiers, provenance, None, "made up", "2026-01-01T00:00:00+00:00")


def make_candidate(number: int, iterations: int, tensors: int, at: IntArray) -> Trace:
    """A run of either precision; every fourth has a tensor that is off from the middle on."""
    trace = make_trace(10_000 + number, NOISE["fp32" if number % 2 else "tf32"], iterations, tensors, at)
    if number % 4 == 0:
        trace.state.values[at >= iterations // 2, number % tensors] *= 1.1
    return trace


def make_trace(seed: int, noise: float, iterations: int, tensors: int, at: IntArray) -> Trace:
    """A falling loss with its components, norms and tensors, all with some noise that grows to ten times itself."""
    rng = np.random.default_rng(seed)
    t = np.arange(iterations)
    grown = noise * 10 ** (t / iterations)

    def noisy(level: float) -> FloatArray:
        values: FloatArray = level * np.exp(-t / 400 + grown * rng.standard_normal(iterations))
        return values

    signals = {name: noisy(1.0 + place) for place, name in enumerate(SIGNALS)}
    loss = signals["decode.loss_ce"] + signals["aux.loss_ce"]
    levels = 1.0 + np.arange(tensors) % 7
    state = levels * np.exp(grown[at, None] * rng.standard_normal((len(at), tensors)))
    kinds = ("param", "param", "mean", "var")
    asked = np.array([0, 8, iterations - 1])
    answers = np.tile(np.array([1.0, *range(CLASSES**2)]), (len(asked), 1))
    answers[:, 0] *= np.exp(grown[asked] * rng.standard_normal(len(asked)))
    cells = (f"pixels/decode/{label}/{given}" for label in range(CLASSES) for given in range(CLASSES))
    names = tuple(f"{kinds[place % 4]}/backbone.layer{place // 40}.{place}.conv.weight" for place in range(tensors))
    return Trace(
        iterations=t.astype(np.int64),
        signals={"loss": loss, **signals, "lr": 0.01 * (1 - t / 40_000) ** 0.9},
        planned=iterations,
        complete=True,
        batches=tuple(f"{at:032x}" for at in t),
        state=StateTable(at, names, state),
        evaluation=StateTable(asked, ("loss/decode.loss_ce", *cells), answers),
    )


if __name__ == "__main__":
    main()
