"""A pool: every task ends in an outcome, whatever its worker does, and nothing outlives the pool."""

from collections import defaultdict
from pathlib import Path

import pytest

from harness.lab.power import workers as workers_module
from harness.lab.power.finished_run import Ending, find_record
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import request
from harness.lab.power.workers import Task, WorkerPool


@pytest.fixture
def tasks(tmp_path, monkeypatch):
    """Tasks for workers that train nothing."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
    monkeypatch.setenv("FAKE_LOG", str(tmp_path / "log"))
    monkeypatch.setattr(workers_module, "_ENTRY", "fake_worker:main")

    def make(*names):
        made = []
        for name in names:
            experiment = Experiment("made_up", "made_up.py", Kind.FAULT, name)
            folder = tmp_path / name
            made.append(Task(experiment, folder, request(experiment, folder, None, tmp_path, "tf32", 1e-3)))
        return made

    return make


def served(tmp_path):
    by_process = defaultdict(list)
    for line in (tmp_path / "log").read_text().splitlines():
        process, name, _ = line.split()
        by_process[int(process)].append(name)
    return by_process


def test_one_process_serves_many_experiments(tmp_path, tasks):
    done = []
    WorkerPool(1, tmp_path / "logs", 60).run(tasks("a", "b", "c"), done.append)
    assert [task.experiment.name for task in done] == ["a", "b", "c"]
    assert list(served(tmp_path).values()) == [["a", "b", "c"]]
    assert all(find_record(task.folder).ending is Ending.COMPLETE for task in done)


@pytest.mark.parametrize("own", ["", "glibc.malloc.arena_max=1"])
def test_a_worker_keeps_what_it_freed_unless_the_user_says_how_to_allocate(tmp_path, tasks, monkeypatch, own):
    monkeypatch.delenv("GLIBC_TUNABLES", raising=False)
    if own:
        monkeypatch.setenv("GLIBC_TUNABLES", own)
    WorkerPool(1, tmp_path / "logs", 60).run(tasks("a"), lambda _: None)
    tunables = (tmp_path / "log").read_text().split()[-1]
    assert tunables == own if own else "glibc.malloc.hugetlb=1" in tunables


def test_a_worker_that_dies_or_raises_is_replaced_and_its_run_recorded_as_crashed(tmp_path, tasks):
    made = tasks("a", "dies", "b", "raises", "c")
    WorkerPool(1, tmp_path / "logs", 60).run(made, lambda _: None)
    endings = {task.experiment.name: find_record(task.folder) for task in made}
    assert [record.ending.value for record in endings.values()] == [
        "complete", "crashed", "complete", "crashed", "complete"
    ]  # fmt: skip
    assert "exit code 7" in endings["dies"].error
    assert "last words" in endings["dies"].error
    assert endings["raises"].error == "raised"
    assert list(served(tmp_path).values()) == [["a", "dies"], ["dies"], ["b", "raises"], ["c"]]


def test_a_worker_that_hangs_is_killed(tmp_path, tasks):
    (task,) = tasks("hangs")
    WorkerPool(1, tmp_path / "logs", 5).run([task], lambda _: None)
    assert "no answer after 5 s" in find_record(task.folder).error
    (process,) = served(tmp_path)
    assert not Path(f"/proc/{process}").exists()


def test_an_interruption_leaves_no_worker_behind(tmp_path, tasks):
    def interrupt(_):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        WorkerPool(2, tmp_path / "logs", 60).run(tasks("a", "hangs"), interrupt)
    assert not any(Path(f"/proc/{process}").exists() for process in served(tmp_path))
