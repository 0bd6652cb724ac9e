"""A run of ann_small, its baseline, and what judging it leaves: traces, provenance, envelopes, findings."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np

from harness.values.baseline import Baseline
from harness.values.provenance import Device, Provenance
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome

ITERATIONS = 30
COMPONENTS = ("decode.loss_ce", "aux.loss_ce")
BUILD = {
    "PyTorch": "2.7.1",
    "Torch-SDAA": "3.2.0",
    "SDAA Driver": "3.2.0",
    "SDAA Runtime": "3.2.0",
    "TecoDNN": "3.2.0",
    "TecoBLAS": "3.2.0",
    "CustomDNN": "3.2.1a0",
    "TCCL": "3.2.0",
}


def base_loss(iterations: int) -> np.ndarray:
    """A loss that falls and wobbles as a small net's does."""
    at = np.arange(iterations)
    wobble = np.random.default_rng(7).normal(0, 0.06, iterations)
    return 1.2 + 2.5 * np.exp(-at / 14) + wobble * np.minimum(1, at / 5)


def trace_of(deviation: np.ndarray, *, planned: int = ITERATIONS, complete: bool = True) -> Trace:
    """A trace whose signals are the reference's times 1 + deviation."""
    count = len(deviation)
    loss = base_loss(planned)[:count] * (1 + deviation)
    signals = {
        "loss": loss,
        "decode.loss_ce": loss * 0.72,
        "aux.loss_ce": loss * 0.28,
        "decode.acc_seg": 60 - 10 * loss,
        "lr": np.full(count, 1e-3),
        "grad_norm": 4.1 * loss**0.5,
        "update_norm": 0.004 * loss,
        "param_norm": 210 + 0.01 * loss,
        "bn_mean_norm": 3.0 + 0.1 * loss,
        "bn_var_norm": 5.0 + 0.1 * loss,
        "seconds": np.full(count, 0.41),
    }
    state = StateTable(np.array([0], np.int64), ("param/stem.weight",), np.array([[3.25]]))
    batches = tuple(f"{i:08x}" for i in range(count))
    return Trace(np.arange(count), signals, planned, complete, batches, state)


def provenance(device: Device, **changes: object) -> Provenance:
    """Where a run of ann_small comes from."""
    plain = Provenance(
        case="ann_small",
        settings={
            "model.backbone.type": "ResNetV1c",
            "model.backbone.depth": "50",
            "optim_wrapper.optimizer.lr": "0.001",
            "optim_wrapper.optimizer.momentum": "0.9",
            "train_dataloader.batch_size": "2",
        },
        weights="sha256:7d1f0c22a9b1d4c85f0e6a0b1f2c3d4e",
        seed=0,
        precision="fp32",
        world_size=1,
        global_batch=2,
        iterations=ITERATIONS,
        device=device,
        versions={"python": "3.11.11", "torch": "2.13.0", "mmengine": "0.10.7", "mmcv": "2.1.0", "numpy": "2.4.1"},
        environment={"OMP_NUM_THREADS": "2"},
        host={"machine": "x86_64", "threads": "2"},
        commit="4e36aa11d10f278eee1a11fa330d3446e0674974",
        command="align verify ann_small --device emulated",
        started="2026-11-21T00:41:07Z",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


CPU = Device("cpu", "x86_64, AVX2")
EMULATED = Device("sdaa", "TECO_AICARD_01 (emulated)", emulated=True, profile="tf32", build={"profile": "tf32"})
REAL = Device("sdaa", "TECO_AICARD_01", build=BUILD)


@cache
def baseline() -> Baseline:
    """Eight healthy runs for each of two tiers."""
    draw = np.random.default_rng(1)
    growth = 1e-7 * 1.35 ** np.arange(ITERATIONS)
    tiers = {
        tier: tuple(trace_of(draw.normal(0, 1, ITERATIONS) * growth * scale) for _ in range(8))
        for tier, scale in (("fp32", 1.0), ("tf32", 12.0))
    }
    origin = provenance(CPU, command="align record ann_small --device cpu --repeats 8")
    return Baseline("ann_small", "cpu", tiers, origin, None, "first recording", "2026-11-20T22:10:44Z")


def envelope(signal: str, trace: Trace, tier: str = "tf32") -> Envelope:
    """What the envelope rule would draw for a signal: center and bound of the tier's runs."""
    runs = np.array([run.signals[signal] for run in baseline().tiers[tier]])[:, : len(trace)]
    center = np.exp(np.log(runs).mean(axis=0))
    spread = np.sqrt((np.log(runs / center) ** 2).mean(axis=0))
    spread = np.maximum(np.convolve(np.pad(spread, 2, "edge"), np.ones(5) / 5, "valid"), 3e-7)
    with np.errstate(all="ignore"):
        deviation = trace.signals[signal] / center - 1
    return Envelope(signal, tier, trace.iterations, center, 9 * spread, trace.signals[signal], deviation)


def agreements(device: Device = EMULATED, **changed: str) -> tuple[Agreement, ...]:
    """The comparability table, with some of the candidate's values changed."""
    rows = {
        "case": "ann_small",
        "initial weights": "sha256:7d1f0c22a9b1d4c85f0e6a0b1f2c3d4e",
        "seed": "0",
        "batches": "30 of 30 equal",
        "global batch": "2",
        "precision": "fp32",
        "iterations": "30",
        "optim_wrapper.optimizer.lr": "0.001",
    }
    required = tuple(
        Agreement(what, value, changed.get(what, value), True, changed.get(what, value) == value)
        for what, value in rows.items()
    )
    return (*required, Agreement("device", "cpu", device.label, False, device.label == "cpu"))


def legacy(error: float, verdict: str) -> LegacyResult:
    """The seeds' four lines."""
    lines = (
        f"MeanRelativeError: {error!r}",
        f"MeanAbsoluteError: {2 * error!r}",
        f"Rule,mean_relative_error {error!r}",
        f"{verdict} mean_relative_error={error!r} <= 0.05 or mean_absolute_error={2 * error!r} <= 0.0002",
    )
    return LegacyResult(error, 2 * error, verdict, lines)


def judged(trace: Trace) -> tuple[dict[str, Envelope], tuple[Finding, ...]]:
    """Envelopes and findings of a trace, by the bound alone."""
    envelopes = {name: envelope(name, trace) for name in ("loss", *COMPONENTS, "grad_norm")}
    return envelopes, tuple(_finding(each) for each in envelopes.values())


def _finding(drawn: Envelope) -> Finding:
    over = np.flatnonzero(~(np.abs(drawn.deviation) <= drawn.allowed))
    at = int(over[0]) if len(over) else int(np.argmax(np.abs(drawn.deviation) / drawn.allowed))
    observed, allowed = float(drawn.deviation[at]), float(drawn.allowed[at])
    message = f"{drawn.signal} is {100 * observed:+.3g} % off the reference at iteration {at}"
    message += (
        f", where healthy runs stay within {100 * allowed:.3g} %" if len(over) else " at its closest to the bound"
    )
    status = Outcome.FAIL if len(over) else Outcome.PASS
    return Finding(
        "envelope", status, drawn.signal, message, at, observed, allowed, float(drawn.allowed.min()), drawn.tier
    )
