"""Work side by side: every task is done once, a slot has one at a time, and what is interrupted ends."""

import threading

import pytest

from harness.devices.choice import DeviceChoice
from harness.devices.device_registry import find_device_type
from harness.running import pool
from harness.running.pool import AUTO, Slot, cards_of, run_side_by_side, slots_for
from harness.values.errors import DeviceError


def collected(tasks, work, slots):
    done = {}
    run_side_by_side(tasks, work, slots, done.__setitem__)
    return done


@pytest.mark.parametrize("count", [1, 3])
def test_every_task_is_done_once_and_a_slot_has_one_at_a_time(count):
    busy, seen = set(), []

    def work(task, slot):
        assert slot.number not in busy
        busy.add(slot.number)
        seen.append(task)
        busy.remove(slot.number)
        return task * 10

    slots = [Slot(number) for number in range(count)]
    assert collected(range(20), work, slots) == {number: number * 10 for number in range(20)}
    assert sorted(seen) == list(range(20))


def test_several_run_at_once():
    both = threading.Barrier(2, timeout=60)
    assert set(collected("ab", lambda *_: both.wait(), [Slot(0), Slot(1)]).values()) == {0, 1}


@pytest.mark.parametrize("failure", [KeyboardInterrupt, RuntimeError])
def test_what_runs_is_told_to_end_and_what_waits_is_never_begun(failure):
    begun = []
    waiting = threading.Event()

    def work(task, slot):
        begun.append(task)
        if task == 0:
            assert waiting.wait(60)
            return 0
        waiting.set()
        assert slot.stop.wait(60), "it was not told"
        return 1

    def interrupt(*_):
        raise failure

    with pytest.raises(failure):
        run_side_by_side(range(9), work, [Slot(0), Slot(1)], interrupt)
    assert len(begun) <= 3  # the slot of the first may take one more before it is told


def test_a_task_that_raises_ends_the_others():
    def work(task, slot):
        if task == 0:
            raise DeviceError("gone")
        return slot.stop.wait(60)

    with pytest.raises(DeviceError):
        run_side_by_side(range(4), work, [Slot(0), Slot(1)], lambda *_: None)


@pytest.fixture
def cuda(monkeypatch):
    """A choice of cuda with eight cards that nobody has to count."""
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setattr(pool, "host_cores", lambda: 16)
    monkeypatch.setattr(pool, "_told_by", lambda *_: ("8", ()))
    return DeviceChoice("cuda")


def visible(slots):
    return [slot.environment.get("CUDA_VISIBLE_DEVICES") for slot in slots]


def test_one_job_is_the_machine_as_it_is(cuda):
    (slot,) = slots_for(cuda, 1)
    assert (slot.card, slot.environment) == ("", {})


def test_each_of_several_jobs_sees_a_card_of_its_own_and_its_share_of_the_cores(cuda):
    slots = slots_for(cuda, 4)
    assert visible(slots) == ["0", "1", "2", "3"]
    assert [slot.card for slot in slots] == ["0", "1", "2", "3"]
    assert {slot.environment["OMP_NUM_THREADS"] for slot in slots} == {"4"}
    assert len(slots_for(cuda, AUTO)) == 8


def test_more_jobs_than_cards_share_them(cuda):
    assert visible(slots_for(cuda, 10)) == [*"01234567", "0", "1"]


def test_a_case_in_several_processes_has_as_many_cards(cuda):
    assert visible(slots_for(cuda, AUTO, processes=3)) == ["0,1,2", "3,4,5"]


def test_one_card_that_was_asked_for_is_that_of_all_jobs(cuda):
    assert visible(slots_for(DeviceChoice("cuda", 5), 2)) == [None, None]


def test_threads_that_the_user_set_stay(cuda, monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    assert "OMP_NUM_THREADS" not in slots_for(cuda, 2)[0].environment


def test_cards_that_the_user_made_visible_are_the_cards(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "4, GPU-c0ffee")
    assert cards_of(DeviceChoice("cuda")) == ("4", "GPU-c0ffee")


def test_a_device_that_can_not_be_counted_is_refused_in_a_sentence(monkeypatch):
    monkeypatch.delenv("NPU_VISIBLE_DEVICES", raising=False)
    monkeypatch.delenv(find_device_type("npu").visible_variable, raising=False)
    with pytest.raises(DeviceError, match="doesn't say how many cards"):
        cards_of(DeviceChoice("npu"))


def test_the_processor_has_as_many_jobs_as_cores_and_memory_allow(monkeypatch):
    monkeypatch.setattr(pool, "host_cores", lambda: 6)
    monkeypatch.setattr(pool, "MEMORY_A_RUN", 1)
    assert len(slots_for(DeviceChoice("cpu"), AUTO)) == 6
    assert len(slots_for(DeviceChoice("cpu"), AUTO, processes=2)) == 3
    monkeypatch.setattr(pool, "MEMORY_A_RUN", 2**60)
    assert len(slots_for(DeviceChoice("cpu"), AUTO)) == 1
