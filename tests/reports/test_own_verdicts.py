"""What our own judges say never contradicts itself: a result that is refused on arrival would be a right one lost."""

import dataclasses

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from harness.pairs.judge import judge_pair
from harness.pairs.log import Log, Series
from harness.rules.gate import Gate
from harness.values.result import Result
from harness.values.terms import Against, Terms
from harness.values.trace import Trace
from reports import record_of
from reports.results.contradictions import contradictions
from tests.healthy_runs import make_baseline, make_provenance, make_trace, with_signal


@pytest.fixture(scope="module")
def gates() -> dict[str, Gate]:
    baseline = make_baseline(repeats=5)
    return {tier: Gate(baseline, 30, tier) for tier in baseline.tiers}


def assert_consistent(result: Result) -> None:
    assert list(contradictions(record_of(result))) == []


@settings(max_examples=60)
@given(
    st.integers(50, 10_000),
    st.sampled_from([1e-5, 1e-3]),
    st.sampled_from(["nothing", "loss", "grad_norm", "lr", "bn_var_norm", "batches", "lr.1"]),
    st.sampled_from([0.5, 0.9999, 1.003, 1.05, 3.0, 0.0, -1.0, np.nan, np.inf]),
    st.sampled_from(["fp32", "tf32"]),
    st.integers(0, 30),
    st.sampled_from([0, 1]),
)
def test_the_verdict_of_a_gate(
    gates: dict[str, Gate], seed: int, noise: float, what: str, factor: float, tier: str, seen: int, own: int
) -> None:
    trace = make_trace(seed, noise=noise)
    if what == "batches":
        trace = dataclasses.replace(trace, batches=("x",) * 30)
    elif what != "nothing":
        trace = with_signal(trace, what, trace.signals.get(what, trace.loss) * factor)
    origin = make_provenance(case="made_up", seed=own)
    gate = gates[tier]
    assert_consistent(Result(gate.judge(trace, origin), trace, origin, gate.baseline))
    partial = dataclasses.replace(trace.head(seen), planned=30, complete=seen == 30)
    assert_consistent(Result(gate.so_far(partial, origin), partial, origin, gate.baseline))
    assert_consistent(Result(gate.judge(partial, origin), partial, origin, gate.baseline))


def log_of(values: np.ndarray, **settings_of: str) -> Log:
    series = Series(np.arange(len(values)), values)
    return Log("a.log", "lines", "loss", 0, series, {0: series}, ("loss",), dict(settings_of), ())


@settings(max_examples=100)
@example(443, 30, 30, 0.3, 1.0, 1, False, False)  # bounds of two runs past the range of floats
@example(15, 12, 12, 0.3, 1.0, 1, False, False)
@given(
    st.integers(0, 1000),
    st.integers(1, 80),
    st.integers(1, 80),
    st.sampled_from([0.0, 1e-7, 1e-4, 0.02, 0.3]),
    st.sampled_from([1.0, 1.001, 1.06, 1.3, 0.5, np.nan, 0.0, -1.0]),
    st.sampled_from([0, 1, 4, 6]),
    st.booleans(),
    st.booleans(),
)
def test_the_verdict_on_two_logs(
    seed: int, ours: int, theirs: int, noise: float, factor: float, repeats: int, copied: bool, seeds: bool
) -> None:
    draw = np.random.default_rng(seed)
    base = 2.0 * np.exp(-np.arange(80) / 40)

    def noisy() -> np.ndarray:
        return base * np.exp(noise * draw.standard_normal(80))

    said = {"seed": "0"} if seeds else {}
    candidate = log_of(noisy()[:theirs] * factor, **said)
    more = [log_of(noisy()) for _ in range(repeats)]
    verdict = judge_pair("pair", log_of(noisy()[:ours], **said), candidate, more, copied=copied)
    trace = Trace(candidate.series.iterations, {"loss": candidate.series.values}, theirs, complete=True)
    assert_consistent(Result(verdict, trace, terms=Terms(against=Against.LOGS)))
