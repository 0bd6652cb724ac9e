"""Every input whose truth is known: metric, records, iterations and values, and the pairs that are one run."""

import csv
from pathlib import Path

import numpy as np
import pytest

from harness.logs import read_log
from harness.values.errors import LogError

DATA = Path(__file__).parents[1] / "data" / "logs"
TRUTHS = list(csv.DictReader((DATA / "manifest.csv").read_text(encoding="utf-8").splitlines()))
ONE_RUN = {
    "ms-swift and its trainer_state.json": (
        "f07_swift_logging.jsonl",
        "f07_trainer_state_of_the_same_run.json",
        41,
        6e-8,
    ),
    "mmdet's text and JSON": ("f24_mmdet2.log", "f24_mmdet2.log.json", 42, 6e-5),
    **{
        f"{kind}, every 5 and every 10": (
            f"f21_same_run_other_interval/{kind}_every5",
            f"f21_same_run_other_interval/{kind}_every10",
            60,
            0.006,  # timm prints three digits, so that 10.59 and 10.6 are one number
        )
        for kind in ("fairseq", "timm", "wandbhist")
    },
}


@pytest.fixture
def place(request):
    def find(name):
        path = DATA / name
        return path if path.exists() else request.getfixturevalue("shared") / "data" / "logs" / name

    return find


@pytest.mark.parametrize("truth", TRUTHS, ids=lambda truth: f"{truth['file']}-{truth['metric']}")
def test_an_input_is_read_rightly(place, truth):
    asked = truth["metric"] if "Perplexity" in truth["metric"] or " - " in truth["metric"] else "loss"
    log = read_log(place(truth["file"]), metric=asked, epoch_length=int(truth["epoch_length"] or 0))
    assert log.metric == truth["metric"]
    assert log.numbered
    assert len(log) == int(truth["records"])
    assert (log.iterations[0], log.iterations[-1]) == (int(truth["first"]), int(truth["last"]))
    assert int(log.iterations.sum()) == int(truth["sum_of_iterations"])
    assert (log.values[0], log.values[-1]) == (float(truth["first_value"]), float(truth["last_value"]))
    np.testing.assert_allclose(log.values.mean(), float(truth["mean"]), rtol=1e-13)


@pytest.mark.parametrize("pair", ONE_RUN)
def test_logs_of_one_run_agree(place, pair):
    one, other, fewest, apart = ONE_RUN[pair]
    one = read_log(place(one))
    other = read_log(place(other), epoch_length=one.epoch_length)
    common, mine, theirs = np.intersect1d(one.iterations, other.iterations, return_indices=True)
    assert len(common) >= fewest
    np.testing.assert_allclose(one.values[mine], other.values[theirs], atol=apart, rtol=0)


def test_devices_of_xla_are_ranks(place):
    log = read_log(place("f19_xla_devices_a.log"))
    assert sorted(log.ranks) == [0, 1, 2, 3]
    assert all(len(series) == 30 for series in log.ranks.values())


def test_iterations_that_print_no_loss_are_told(place):
    log = read_log(place("f22_nan_prints_no_loss.cand.log"))
    assert sorted(log.lacking) == list(range(41, 101))


def test_two_runs_of_one_table_have_to_be_named(place):
    with pytest.raises(LogError, match=r"--metric '.* - train/loss' '.* - train/loss'"):
        read_log(place("f30_wandb_two_runs.csv"))
