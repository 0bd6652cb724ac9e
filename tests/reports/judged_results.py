"""Results as judging a trace leaves them: one of each verdict, emulated and real, whole and broken."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from harness.values.provenance import Device
from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Status, Verdict
from tests.reports.judged_runs import (
    CPU,
    EMULATED,
    ITERATIONS,
    REAL,
    agreements,
    baseline,
    judged,
    legacy,
    provenance,
    trace_of,
)

EXACT = (
    Finding("comparability", Outcome.PASS, "*", "the two sides are the same experiment in all 8 respects"),
    Finding("finiteness", Outcome.PASS, "*", "all 11 signals are finite at all 30 iterations"),
)


def passing(device: Device = EMULATED) -> Result:
    """A healthy port at tf32."""
    draw = np.random.default_rng(5).normal(0, 1, ITERATIONS)
    trace = trace_of(draw * 1.2e-6 * 1.35 ** np.arange(ITERATIONS))
    envelopes, findings = judged(trace)
    state = Finding(
        "state",
        Outcome.PASS,
        "mean/backbone.stem.1",
        "the running mean stays among healthy runs",
        29,
        1.1e-5,
        9e-5,
        2e-6,
        "tf32",
    )
    verdict = Verdict(
        "ann_small",
        Status.PASS,
        "every signal of 30 iterations stays among the healthy runs of tf32 arithmetic",
        (*findings, state, *EXACT, Finding("precision tier", Outcome.PASS, "*", "aligned at tf32", tier="tf32")),
        agreements(device),
        legacy(-0.00021, "pass"),
        "tf32",
        "tf32",
        envelopes,
    )
    return Result(verdict, trace, provenance(device), baseline(), "align verify ann_small --device emulated", 37.4)


def failing_by_envelope() -> Result:
    """A weight gradient 5 % too large: the loss leaves its envelope."""
    growth = np.where(np.arange(ITERATIONS) < 3, 0, 4e-4 * 1.17 ** np.arange(ITERATIONS))
    trace = trace_of(growth + np.random.default_rng(5).normal(0, 1, ITERATIONS) * 1e-6)
    envelopes, findings = judged(trace)
    violations = [finding for finding in findings if finding.status is Outcome.FAIL]
    verdict = Verdict(
        "ann_small",
        Status.FAIL,
        f"envelope: {violations[0].message}",
        findings,
        agreements(),
        legacy(0.0121, "pass"),
        "",
        "tf32",
        envelopes,
    )
    device = replace(EMULATED, fault="conv-wgrad-x1.05")
    command = "align verify ann_small --device emulated --fault conv-wgrad-x1.05"
    return Result(verdict, trace, provenance(device, command=command), baseline(), command, 41.9)


def failing_by_buffers(tensors: int = 106) -> Result:
    """BatchNorm's momentum ignored: the loss sees nothing, hundreds of buffers do."""
    whole = passing(REAL)
    found = tuple(
        Finding(
            "state",
            Outcome.FAIL,
            f"{kind}/backbone.layer{1 + i % 4}.{i // 4}.bn{1 + i % 3}",
            f"the norm of the running {'mean' if kind == 'mean' else 'variance'} is {0.30 + i * 1e-3:.1%} off",
            0,
            (-1) ** i * (0.30 + i * 1e-3),
            3.1e-6,
            3.1e-6,
            "tf32",
        )
        for i, kind in ((i, kind) for i in range(tensors // 2) for kind in ("mean", "var"))
    )
    verdict = replace(
        whole.verdict,
        status=Status.FAIL,
        reason="state: mean/backbone.layer1.0.bn1 is 30 % off the reference at iteration 0",
        findings=(*found, *whole.verdict.findings),
        aligned_tier="",
    )
    return replace(whole, verdict=verdict, command="align verify ann_small --device sdaa")


def inconclusive() -> Result:
    """Another learning rate and other weights: another experiment."""
    trace = trace_of(0.05 * np.sin(np.arange(ITERATIONS)))
    verdict = Verdict(
        "ann_small",
        Status.INCONCLUSIVE,
        "not comparable: optim_wrapper.optimizer.lr is 0.001 on the reference and 0.002 on the candidate",
        (Finding("comparability", Outcome.INCONCLUSIVE, "optim_wrapper.optimizer.lr", "the learning rates differ"),),
        agreements(CPU, **{"optim_wrapper.optimizer.lr": "0.002", "batches": "0 of 30 equal"}),
        legacy(0.011, "pass"),
        "",
        "tf32",
    )
    settings = {**provenance(CPU).settings, "optim_wrapper.optimizer.lr": "0.002"}
    return Result(
        verdict, trace, provenance(CPU, settings=settings), baseline(), "align verify ann_small --device cpu", 33.0
    )


def crashed() -> Result:
    """A run that ended before it said anything."""
    output = 'Traceback (most recent call last):\n  File "run.py", line 3\nRuntimeError: SDAA error: out of memory\n'
    reason = "the run crashed before its first iteration (exit status 1)"
    verdict = Verdict("ann_small", Status.ERROR, reason, demanded_tier="tf32")
    return Result(verdict, command="align verify ann_small --device sdaa", seconds=2.7, output=output)


def cut_short() -> Result:
    """Killed by the watchdog after eleven iterations."""
    draw = np.random.default_rng(5).normal(0, 1, 11)
    trace = trace_of(draw * 1e-6, complete=False)
    envelopes, findings = judged(trace)
    verdict = Verdict(
        "ann_small",
        Status.ERROR,
        "the run was cut short after 11 of 30 iterations: no progress for 120 s",
        findings,
        agreements(),
        None,
        "",
        "tf32",
        envelopes,
    )
    return Result(
        verdict, trace, provenance(EMULATED), baseline(), "align verify ann_small", 154.2, "iteration 10 loss 2.31\n"
    )


def not_finite() -> Result:
    """A loss that becomes NaN at iteration 12 and infinite once before."""
    deviation = np.full(ITERATIONS, 1e-6)
    deviation[8:] = 3e-3
    trace = trace_of(deviation)
    for values in trace.signals.values():
        values[10], values[12:] = np.inf, np.nan
    envelopes, findings = judged(trace)
    message = "loss is inf at iteration 10 (19 of 30 not finite)"
    broken = Finding("finiteness", Outcome.FAIL, "loss", message, 10, float("inf"))
    verdict = Verdict(
        "ann_small",
        Status.FAIL,
        f"finiteness: {message}",
        (broken, *findings),
        agreements(),
        legacy(float("nan"), "fail"),
        "",
        "tf32",
        envelopes,
    )
    return Result(verdict, trace, provenance(EMULATED), baseline(), "align verify ann_small", 40.0)
