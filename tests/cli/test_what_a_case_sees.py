"""What `align record` says of a case's sight, and what it offers where rounding has grown too far."""

import io
import shlex
import sys
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from harness.cli.main import build_parser
from harness.cli.record import print_advice
from harness.values.case import Case
from harness.values.trace import PIECE
from tests.healthy_runs import make_baseline, make_trace, with_signal


def chaotic(pieces=1, blind_after=6):
    """A baseline of 30 iterations whose loss parts by 20 % some iterations after each start."""
    draw = np.random.default_rng(5)
    age = np.arange(30) % (30 // pieces)

    def run(seed):
        trace = make_trace(seed)
        scatter = np.where(age >= blind_after, 0.2, 1e-6) * draw.standard_normal(30)
        trace = with_signal(trace, "loss", trace.loss * np.exp(scatter))
        return with_signal(trace, PIECE, np.arange(30) // (30 // pieces)) if pieces > 1 else trace

    return make_baseline(tiers={"fp32": tuple(map(run, range(8)))})


@pytest.fixture
def said(monkeypatch):
    def say(baseline, case):
        monkeypatch.setattr(sys, "argv", ["align", "record", "mine.py", "--device", "cpu"])
        printed = io.StringIO()
        print_advice(Console(file=printed, width=80), baseline, case)
        return printed.getvalue()

    return say


def test_a_case_that_sees_to_its_end_is_told_in_a_sentence_and_offered_nothing(said):
    told = said(make_baseline(), Case("mine", Path("mine.py")))
    assert told.startswith("made_up, fp32: sees a loss that is off by ")
    assert told.endswith("; no demanded signal is blind\n")


def test_where_it_is_blind_pieces_as_long_as_it_sees_are_offered_as_a_command_that_parses(said):
    told = said(chaotic(), Case("mine", Path("mine.py")))
    assert "it is blind to loss at " in told
    lines = [line for line in told.splitlines() if "alignment.restarts" in line]
    words = shlex.split(lines[0].partition(": ")[2])
    arguments = build_parser().parse_args(words[1:])
    assert arguments.dry_run
    (option,) = arguments.cfg_options
    name, _, pieces = option.partition("=")
    assert name == "alignment.restarts"
    assert 4 <= int(pieces) <= 10, "six iterations see, less the smoothing's reach"


def test_more_pieces_than_there_are_are_offered_or_none(said):
    told = said(chaotic(pieces=5, blind_after=4), Case("mine", Path("mine.py"), restarts=5))
    assert "iterations" in told
    assert "in 5 pieces" not in told


def test_a_loop_of_ones_own_is_offered_what_it_has(said):
    told = said(chaotic(), Case("mine", Path("mine.py"), function="train", own_start=True, fp64_iterations=0))
    assert "@harness.case(restarts=" in told
    assert "--cfg-options" not in told
    assert "alignment.restarts" not in said(chaotic(), None), "a training that was watched in place isn't restarted"
