"""Traces, provenance and baselines of runs that nobody trained: healthy, and what a test makes of them."""

import dataclasses

import numpy as np

from harness.values.baseline import Baseline
from harness.values.provenance import Device, Provenance
from harness.values.sampling import SAMPLING
from harness.values.trace import StateTable, Trace

ANSWERS = ("loss/decode.loss_ce", *(f"pixels/decode/{label}/{given}" for label in (0, 1) for given in (0, 1)))
TENSORS = ("param/conv.weight", "param/conv.bias", "mean/bn.running_mean", "var/bn.running_var")


def make_trace(seed=0, noise=1e-5, iterations=30, scale=1.0, **changes):
    """A healthy run: a falling loss, whose noise grows by a tenth an iteration."""
    rng = np.random.default_rng(seed)
    t = np.arange(iterations)

    def noisy(values):
        return values * np.exp(noise * 1.1**t * rng.standard_normal(iterations))

    main, aux = noisy(2.0 * scale * np.exp(-t / 40)), noisy(0.8 * scale * np.exp(-t / 40))
    signals = {
        "loss": main + aux,
        "decode.loss_ce": main,
        "aux.loss_ce": aux,
        "decode.acc_seg": 50 + t / 10,
        "lr": 0.01 * (1 - t / 40000) ** 0.9,
        "grad_norm": noisy(3.0 + 0 * t),
        "update_norm": noisy(0.01 + 0 * t),
        "param_norm": noisy(100.0 + 0 * t),
        "bn_mean_norm": noisy(1.0 + 0.01 * t),
        "bn_var_norm": noisy(8.0 + 0.01 * t),
        "seconds": np.full(iterations, 0.5),
        "memory": np.full(iterations, 900.0),
    }
    at = np.array([i for i in (0, 1, 2, 4, 8, 16, 29) if i < iterations])
    levels = np.array([5.0, 0.1, 1.0, 8.0])
    state = levels * np.exp(noise * rng.standard_normal((len(at), len(TENSORS))))
    asked = np.array([i for i in (0, 8, 29) if i < iterations])
    answers = np.tile([2.0, 700.0, 300.0, 100.0, 900.0], (len(asked), 1))
    answers[:, 0] *= np.exp(noise * rng.standard_normal(len(asked)))
    turned = rng.integers(0, 3, len(asked)) if noise else 0  # pixels between two classes
    answers[:, 1] += turned
    answers[:, 2] -= turned
    trace = Trace(
        iterations=t.astype(np.int64),
        signals=signals,
        planned=iterations,
        complete=True,
        batches=tuple(f"{i:032x}" for i in t),
        state=StateTable(at.astype(np.int64), TENSORS, state),
        evaluation=StateTable(asked.astype(np.int64), ANSWERS, answers),
    )
    return dataclasses.replace(trace, **changes) if changes else trace


def make_provenance(**changes):
    """Where a healthy run comes from."""
    base = Provenance(
        case="made_up",
        sampling=SAMPLING,
        settings={"optim_wrapper.optimizer.lr": "0.01", "model.backbone.depth": "50"},
        weights="ab" * 32,
        seed=0,
        precision="fp32",
        world_size=1,
        global_batch=2,
        iterations=30,
        device=Device("cpu", "a processor"),
        versions={"torch": "2.13.0"},
        environment={"OMP_NUM_THREADS": "2"},
        host={"machine": "x86_64"},
        commit="0123456789ab",
        command="align record made_up",
        started="2026-01-01T00:00:00+00:00",
    )
    return dataclasses.replace(base, **changes)


def make_baseline(repeats=8, noise=1e-5, iterations=30, **changes):
    """k healthy runs at fp32, and k at a tf32 that is a hundred times noisier."""
    base = Baseline(
        case="made_up",
        reference="cpu",
        tiers={
            "fp32": tuple(make_trace(seed, noise, iterations) for seed in range(repeats)),
            "tf32": tuple(make_trace(100 + seed, 100 * noise, iterations) for seed in range(repeats)),
        },
        provenance=make_provenance(iterations=iterations),
        fp64=make_trace(999, 0.0, 3),
        reason="first recording",
        recorded="2026-01-01T00:00:00+00:00",
    )
    return dataclasses.replace(base, **changes)


def with_signal(trace, name, values):
    """The same trace with another signal."""
    return dataclasses.replace(trace, signals={**trace.signals, name: np.asarray(values, dtype=float)})
