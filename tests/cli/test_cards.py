"""`align verify --each-device` and `--repeat`: the odd card is named in the terminal, the data and the page."""

import argparse
import json
import threading
from typing import Any

import pytest

from harness.cli.cards import Planned, on_cards, plan_on_cards
from harness.devices.choice import DeviceChoice
from harness.running.pool import Slot, run_side_by_side
from harness.values.errors import UsageError

A: Any = "a"  # a case is only handed on here
B: Any = "b"


def asked(**options):
    return argparse.Namespace(**{"each_device": True, "repeat": 1, "nproc_per_node": 1, **options})


@pytest.fixture
def two_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4,6")
    return DeviceChoice("cuda")


def test_each_case_is_planned_on_every_card_before_it_is_repeated(two_cards):
    plan = plan_on_cards([A, B], two_cards, asked(repeat=2))
    assert [(each.case, each.card) for each in plan] == [
        *[("a", "4"), ("a", "6"), ("a", "4"), ("a", "6")],
        *[("b", "4"), ("b", "6"), ("b", "4"), ("b", "6")],
    ]
    assert [each.card for each in plan_on_cards([A], two_cards, asked(each_device=False, repeat=3))] == [""] * 3


@pytest.mark.parametrize(
    ("choice", "options", "said"),
    [
        (DeviceChoice("cpu"), {}, "no cards to run each case on"),
        (DeviceChoice("cuda", 1), {}, "no cards to run each case on"),
        (DeviceChoice("cuda"), {"nproc_per_node": 2}, "several cards at once"),
    ],
)
def test_what_has_no_cards_to_tell_apart_is_refused(choice, options, said):
    with pytest.raises(UsageError, match=said):
        plan_on_cards([A], choice, asked(**options))


def test_a_run_sees_its_card_alone_and_a_card_has_one_run_at_a_time(two_cards):
    busy, held = set(), threading.Lock()

    def work(planned, slot):
        assert slot.environment["CUDA_VISIBLE_DEVICES"] == slot.card == planned.card
        with held:
            assert planned.card not in busy
            busy.add(planned.card)
        with held:
            busy.remove(planned.card)
        return planned.card

    plan = [Planned(A, card) for card in ("4", "6") for _ in range(10)]
    made = {}
    run_side_by_side(plan, on_cards(two_cards, work), [Slot(number) for number in range(4)], made.__setitem__)
    assert [made[number] for number in range(20)] == ["4"] * 10 + ["6"] * 10


@pytest.mark.emulated
@pytest.mark.slow
def test_the_faulty_one_of_four_emulated_cards_is_named(align, baselines, user_folder):
    words = ("verify", "tiny.py", "--device", "emulated", "--each-device", "--jobs", "2", "--shadow", "none")
    words = (*words, "--iterations", "3", "--baseline-dir", baselines, "--out", "cards")
    code, out, err = align(*words, "--fault", "conv-wgrad-x1.05#2")
    assert code == 1, out + err
    assert "FAIL card 2: its bits differ from those that all other cards have in common" in out
    folder = user_folder / "cards"
    (case,) = json.loads((folder / "cards.json").read_text())["cases"]
    assert [row["card"] for row in case["rows"] if row["reasons"]] == ["2"]
    page = (folder / "cards.html").read_text()
    assert "Card 2 is not like the others" in page
    assert "EMULATED" in page
    cards = {}
    for file in folder.glob("*/result.json"):
        result = json.loads(file.read_text())
        cards[result["card"]] = result["provenance"]["candidate"]["environment"]["SDAA_VISIBLE_DEVICES"]
    assert cards == {"0": "0", "1": "1", "2": "2", "3": "3"}


@pytest.mark.slow
def test_a_run_that_is_repeated_has_the_same_bits(align, baselines):
    words = ("verify", "tiny.py", "--device", "cpu", "--repeat", "2", "--shadow", "none", "--iterations", "3")
    code, out, err = align(*words, "--baseline-dir", baselines, "--out", "repeated")
    assert code == 0, out + err
    assert "cpu   2     PASS     yes" in out
    assert "1 card left a whole run" in out
