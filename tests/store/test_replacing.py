"""A baseline that is recorded anew while others read it: they see the old one or the new one, never a part of each."""

import dataclasses
import errno
import threading

import pytest

from harness.store import atomic, baselines
from harness.store.atomic import replace_folder, write_text
from harness.store.baselines import load_baseline, save_baseline
from harness.values.errors import BaselineError
from tests.healthy_runs import make_baseline, make_trace, with_signal


@pytest.fixture(scope="module")
def two():
    """Two recordings of equal form: the reason and the loss tell them apart."""
    first = make_baseline(tiers={"fp32": tuple(make_trace(seed, iterations=4) for seed in range(5))}, fp64=None)
    louder = tuple(with_signal(run, "loss", run.loss * 2) for run in first.tiers["fp32"])
    return dataclasses.replace(first, reason="first"), dataclasses.replace(
        first, reason="second", tiers={"fp32": louder}
    )


def whose(two, read):
    """Which recording each part of what was read is of."""
    wrote = {one.reason: one for one in two}
    runs = zip(read.tiers["fp32"], *(one.tiers["fp32"] for one in two), strict=True)
    of_runs = {"first" if got.loss[0] == one.loss[0] else "second" for got, one, _ in runs}
    assert read.reason in wrote
    return {read.reason, *of_runs}


@pytest.mark.parametrize("after", [1, 2, 5, 10, 14])
@pytest.mark.parametrize("exchanged", [True, False])
def test_one_that_is_replaced_while_it_is_read_is_read_again(two, tmp_path, monkeypatch, after, exchanged):
    if not exchanged:
        monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    save_baseline(tmp_path, two[0])
    reads = []

    def read_and_be_overtaken(path, *more):
        reads.append(path)
        if len(reads) == after:
            save_baseline(tmp_path, two[1])
        return atomic.read_bounded(path, *more)

    monkeypatch.setattr(baselines, "read_bounded", read_and_be_overtaken)
    assert whose(two, load_baseline(tmp_path, "made_up", "cpu")) == {"second"}


def test_one_that_is_replaced_faster_than_it_can_be_read_is_an_error(two, tmp_path, monkeypatch):
    save_baseline(tmp_path, two[0])
    reads = []

    def read_and_be_overtaken(path, *more):
        reads.append(path)
        if len(reads) % 3 == 2:
            save_baseline(tmp_path, two[len(reads) % 2])
        return atomic.read_bounded(path, *more)

    monkeypatch.setattr(baselines, "read_bounded", read_and_be_overtaken)
    with pytest.raises(BaselineError, match="replaced again and again"):
        load_baseline(tmp_path, "made_up", "cpu")


def test_two_writers_and_a_reader_agree(two, tmp_path):
    save_baseline(tmp_path, two[0])
    broken, done = [], threading.Event()

    def write(one):
        try:
            while not done.is_set():
                save_baseline(tmp_path, one)
        except Exception as failure:  # noqa: BLE001  # whatever it is, the test fails with it
            broken.append(failure)

    writers = [threading.Thread(target=write, args=(one,)) for one in two]
    for writer in writers:
        writer.start()
    try:
        seen = [whose(two, load_baseline(tmp_path, "made_up", "cpu")) for _ in range(30)]
    finally:
        done.set()
        for writer in writers:
            writer.join()
    assert not broken
    assert all(len(parts) == 1 for parts in seen)
    assert [path.name for path in (tmp_path / "made_up").iterdir()] == ["cpu"]


def test_what_a_killed_writer_moved_aside_is_put_back(tmp_path):
    place = tmp_path / "place"
    write_text(tmp_path / ".place.k1ll3d.old" / "a", "old")

    def fail():
        with replace_folder(place) as fresh:
            write_text(fresh / "a", "new")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert (place / "a").read_text() == "old"
    with replace_folder(place) as fresh:
        write_text(fresh / "a", "new")
    assert (place / "a").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


def test_a_writer_that_the_system_refuses_says_so_and_keeps_the_old(tmp_path, monkeypatch):
    def write(text):
        with replace_folder(tmp_path / "place") as fresh:
            write_text(fresh / "a", text)

    write("old")
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(NotADirectoryError), replace_folder(tmp_path / "file") as fresh:
        write_text(fresh / "a", "new")
    assert (tmp_path / "file").read_text() == "no folder"
    monkeypatch.setattr(atomic, "_exchange", lambda one, other: False)
    write("new")
    assert (tmp_path / "place" / "a").read_text() == "new"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "place"]


def test_a_disk_that_is_full_is_said_with_the_files_name(tmp_path, monkeypatch):
    def full(_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(atomic.os, "fsync", full)
    with pytest.raises(OSError, match="No space left") as refused:
        atomic.write_text(tmp_path / "result.json", "{}")
    assert refused.value.filename == str(tmp_path / "result.json")
    assert list(tmp_path.iterdir()) == []
