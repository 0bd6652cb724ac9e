"""Workers: every experiment ends in an outcome, whatever its worker does, and no worker outlives the study."""

from collections import defaultdict
from pathlib import Path

import pytest

from harness.lab.power.finished_run import Ending, find_record
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.lab.power.workers import run_requests
from tests.power import fake_worker


@pytest.fixture
def served(tmp_path, monkeypatch):
    """Runs experiments of some names on workers that train nothing: the requests, and process → names."""
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))

    def run(*names, jobs=1, timeout=60, on_done=lambda _: None):
        made = [
            Request(Experiment("made_up", "made_up.py", Kind.FAULT, name), str(tmp_path / name), "", "", "tf32", 1e-3)
            for name in names
        ]
        run_requests(made, jobs, tmp_path / "logs", timeout, on_done, fake_worker.serve)
        return {asked.experiment.name: find_record(Path(asked.folder)) for asked in made}

    return run


def by_process(tmp_path):
    found = defaultdict(list)
    for line in (tmp_path / "log").read_text().splitlines():
        process, name, _ = line.split()
        found[int(process)].append(name)
    return found


def test_one_process_serves_many_experiments(tmp_path, served):
    done = []
    records = served("a", "b", "c", on_done=done.append)
    assert [asked.experiment.name for asked in done] == ["a", "b", "c"]
    assert list(by_process(tmp_path).values()) == [["a", "b", "c"]]
    assert all(record.ending is Ending.COMPLETE for record in records.values())


@pytest.mark.parametrize("own", ["", "glibc.malloc.arena_max=1"])
def test_a_worker_keeps_what_it_freed_unless_the_user_says_how_to_allocate(tmp_path, served, monkeypatch, own):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    served("a")
    tunables = (tmp_path / "log").read_text().split()[-1]
    assert tunables == own if own else "glibc.malloc.hugetlb=1" in tunables


def test_a_worker_that_dies_or_raises_is_replaced_and_its_run_recorded_as_crashed(tmp_path, served):
    endings = served("a", "dies", "b", "raises", "c")
    assert [record.ending.value for record in endings.values()] == [
        "complete", "crashed", "complete", "crashed", "complete"
    ]  # fmt: skip
    assert "exit code 7" in endings["dies"].error
    assert "last words" in endings["dies"].error
    assert endings["raises"].error == "raised"
    assert list(by_process(tmp_path).values()) == [["a", "dies"], ["dies"], ["b", "raises"], ["c"]]


def test_two_workers_share_the_experiments_and_each_is_run_once(tmp_path, served):
    names = [f"n{number}" for number in range(6)]
    served(*names, jobs=2)
    assert sorted(name for names in by_process(tmp_path).values() for name in names) == names


def test_a_worker_that_hangs_is_killed(tmp_path, served):
    assert "no answer after 5 s" in served("hangs", timeout=5)["hangs"].error
    (process,) = by_process(tmp_path)
    assert not Path(f"/proc/{process}").exists()


def test_an_interruption_leaves_no_worker_behind(tmp_path, served):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        served("a", "hangs", jobs=2, on_done=interrupt)
    assert not any(Path(f"/proc/{process}").exists() for process in by_process(tmp_path))
