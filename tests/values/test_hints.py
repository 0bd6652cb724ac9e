"""Hints that work when they are pasted: what a baseline holds stays in it, and the reason is there."""

import dataclasses
import shlex

import pytest

from harness.cli.main import build_parser
from harness.rules.gate import Gate
from harness.values.errors import BaselineError, UsageError
from tests.healthy_runs import make_baseline, make_provenance, make_trace


def parsed(hint):
    program, *words = shlex.split(hint)
    assert program == "align"
    return build_parser().parse_args(words)


def test_a_further_tier_keeps_the_others():
    baseline = make_baseline()
    with pytest.raises(BaselineError) as caught:
        Gate(baseline, 30, "bf16")
    assert (caught.value.observed, caught.value.allowed) == ("bf16", "fp32, tf32")
    found = parsed(caught.value.hint)
    assert (found.cases, found.tiers, found.reason, found.device) == (["made_up"], "fp32,tf32,bf16", "tier bf16", "cpu")


def test_a_tier_that_there_is_not_is_no_command():
    with pytest.raises(BaselineError) as caught:
        Gate(make_baseline(), 30, "fp12")
    assert caught.value.hint == "one of fp32, tf32, fp16, bf16"


def test_a_longer_one_is_the_same_but_for_its_length():
    origin = make_provenance(precision="amp-bf16", world_size=4)
    baseline = dataclasses.replace(make_baseline(), reference="cuda-of-mine", provenance=origin)
    with pytest.raises(UsageError) as caught:
        Gate(baseline, 31)
    found = parsed(caught.value.hint)
    assert (found.iterations, found.reference, found.amp) == (31, "cuda-of-mine", True)
    assert (found.launcher, found.nproc_per_node) == ("pytorch", 4)
    assert found.reason


def test_too_few_runs_say_how_many():
    runs = tuple(make_trace(seed) for seed in range(4))
    with pytest.raises(BaselineError) as caught:
        make_baseline(tiers={"fp32": runs})
    assert parsed(caught.value.hint).repeats == 8
