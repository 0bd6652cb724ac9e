"""As many runs on a card as its memory holds, by the emulated device's figures."""

import dataclasses
import threading

import numpy as np
import pytest

from harness.devices.choice import DeviceChoice
from harness.running import card_room, pool
from harness.running.card_room import MARGIN, WORKSPACE, CardRoom, Peaks, find_room, needed, peak_of
from harness.running.pool import AUTO, MOST_A_CARD, Slot, free_of, run_side_by_side, slots_for
from tests.healthy_runs import make_trace, with_signal

GIB = 2**30
VARIABLE = "CUDA_VISIBLE_DEVICES"


def most_at_once(room, needs, slots):
    """How many of some tasks were on each card together at most, and on which each was; every one waits for others."""
    lock, running, most, where = threading.Lock(), {}, {}, {}
    full = threading.Event()

    def work(task, slot):
        assert slot.environment[VARIABLE] == slot.card
        with lock:
            running[slot.card] = running.get(slot.card, 0) + 1
            most[slot.card] = max(most.get(slot.card, 0), running[slot.card])
            where[task] = slot.card
        full.wait(0.3)
        with lock:
            running[slot.card] -= 1

    run_side_by_side(range(len(needs)), work, [Slot(n) for n in range(slots)], lambda *_: None, room.place)
    return most, where


def room_for(free, needs):
    return CardRoom(free, VARIABLE, lambda task: needs[task])


def test_as_many_runs_share_a_card_as_its_memory_holds():
    needs = [5.0] * 12
    most, where = most_at_once(room_for({"0": 16.0, "1": 11.0}, needs), needs, 8)
    assert most == {"0": 3, "1": 2}
    assert len(where) == 12


def test_a_run_of_which_nothing_is_known_has_a_card_for_itself():
    needs = [None] * 6
    most, _ = most_at_once(room_for({"0": 16.0, "1": 16.0}, needs), needs, 6)
    assert most == {"0": 1, "1": 1}


def test_a_run_that_needs_more_than_any_card_has_is_begun_on_an_idle_one():
    needs = [99.0, 99.0, 1.0]
    most, where = most_at_once(room_for({"0": 16.0}, needs), needs, 3)
    assert (most, set(where)) == ({"0": 1}, {0, 1, 2})


def test_what_the_first_run_of_a_case_tells_is_known_to_those_that_wait():
    peaks, begun, both = Peaks("cuda"), [], threading.Barrier(2, timeout=60)
    room = CardRoom({"0": 16.0 * GIB}, VARIABLE, lambda _: peaks.need("case"))

    def work(task, slot):
        begun.append(task)
        if len(begun) > 1:
            both.wait()  # the two that follow run together, or this breaks
        peaks.learn("case", 2.0 * GIB)

    slots = [Slot(number) for number in range(3)]
    run_side_by_side(range(3), work, slots, lambda *_: None, room.place)
    assert sorted(begun) == [0, 1, 2]


def test_a_command_that_ends_leaves_nobody_waiting():
    slots = [Slot(0), Slot(1)]
    room = CardRoom({"0": 1.0}, VARIABLE, lambda _: None)

    def work(task, slot):
        if not slot.card:
            return  # it was let go: the command ends
        if task == 1:
            raise KeyboardInterrupt
        assert slot.stop.wait(0.5) or True
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        run_side_by_side(range(4), work, slots, lambda *_: None, room.place)


def test_peaks_are_kept_beside_the_report_by_device(tmp_path):
    for device, peak in (("cuda", 3.0), ("npu", 7.0)):
        peaks = Peaks(device)
        peaks.learn("ann_small --shadow=0", peak * GIB)
        peaks.learn("ann_small --shadow=0", 1.0)
        peaks.keep(tmp_path)
    again = Peaks("cuda")
    again.recall(tmp_path)
    assert again.need("ann_small --shadow=0") == needed(3.0 * GIB) == 3.0 * GIB * MARGIN + WORKSPACE
    assert again.need("ccnet_small --shadow=0") is None
    (tmp_path / "memory.json").write_text("no peaks")
    Peaks("cuda").recall(tmp_path)


def test_the_peak_of_a_run_is_the_largest_that_it_told():
    trace = with_signal(make_trace(), "memory", [900.0] * 29 + [1024.0])
    assert peak_of(trace) == GIB
    assert peak_of(None) is None
    assert peak_of(with_signal(make_trace(), "memory", np.full(30, np.nan))) is None


@pytest.fixture
def eight_cards(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(pool, "host_cores", lambda: 16)
    monkeypatch.setattr(pool, "_told_by", lambda *_: ("8", tuple(float(GIB * (n + 1)) for n in range(8))))
    return DeviceChoice("cuda")


def test_auto_has_as_many_slots_as_cores_and_four_a_card_where_runs_are_placed_by_memory(eight_cards, monkeypatch):
    assert len(slots_for(eight_cards, AUTO, by_memory=True)) == 16
    assert len(slots_for(eight_cards, AUTO)) == 8
    monkeypatch.setattr(pool, "host_cores", lambda: 128)
    assert len(slots_for(eight_cards, AUTO, by_memory=True)) == 8 * MOST_A_CARD
    monkeypatch.setattr(pool, "host_cores", lambda: 2)
    assert len(slots_for(eight_cards, AUTO, by_memory=True)) == 8
    assert len(slots_for(eight_cards, 3, by_memory=True)) == 3


def test_the_cards_of_a_case_in_several_processes_have_what_the_fullest_has(eight_cards):
    assert free_of(eight_cards, 3) == {"0,1,2": GIB, "3,4,5": 4.0 * GIB}
    assert find_room(eight_cards, AUTO, 3, lambda _: None) is not None
    assert find_room(eight_cards, 4, 1, lambda _: None) is None
    assert free_of(dataclasses.replace(eight_cards, index=3)) == {}
    assert find_room(DeviceChoice("cpu"), AUTO, 1, lambda _: None) is None


def test_a_device_that_does_not_tell_has_one_run_a_card(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setattr(pool, "_told_by", lambda *_: ("8", ()))
    assert free_of(DeviceChoice("cuda")) == {}
    assert find_room(DeviceChoice("cuda"), AUTO, 1, lambda _: None) is None
    assert len(slots_for(DeviceChoice("cuda"), AUTO)) == 8


@pytest.mark.emulated
@pytest.mark.slow
def test_the_emulated_device_tells_what_is_free_and_what_a_run_took(changed, tmp_path):
    """Its cards have 16 GiB; the tiny case takes a few MiB of one, so that a card holds fifteen beside each other."""
    from harness.running.watchdog import execute

    free = free_of(DeviceChoice("emulated"))
    assert free == dict.fromkeys("0123", 16.0 * GIB)
    run = execute(changed(device="emulated", iterations=2), tmp_path)
    peak = peak_of(run.trace)
    assert 0 < peak < 64 * 2**20
    needs = [card_room.needed(peak)] * 40
    most, _ = most_at_once(CardRoom(free, VARIABLE, lambda _: needs[0]), needs, 40)
    assert set(most.values()) <= set(range(1, 16))
    assert sum(most.values()) == 40
