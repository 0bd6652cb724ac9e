"""A study in parts: what comes back is what one machine makes, each run once, whole or not at all."""

import dataclasses
from pathlib import Path

import pytest

from harness.fleet.travel import Parcel
from harness.lab.power import many_machines, workers
from harness.lab.power.code_digest import code_digest
from harness.lab.power.finished_run import Ending, find_record, write_outcome
from harness.lab.power.many_machines import Elsewhere, run_part
from harness.lab.power.study_folder import OUTCOME, SAMPLES
from harness.lab.power.study_run import Experiment, Kind
from harness.lab.power.study_worker import Request
from harness.running.cases import find_case
from harness.values.errors import RunError, UsageError

CASE = find_case("ann_small")


class FakeCluster:
    """Does each part at once, in this process; some parts are answered by hand."""

    cores = 1

    def __init__(self, change=lambda answer: answer):
        self.parts, self.change = [], change

    def run(self, jobs, threads, work):
        for job in jobs:
            self.parts.append(job)
            yield self.change(work(job, "n0de", ""))


@pytest.fixture
def in_process(monkeypatch):
    """The part's own process, as a call: its experiments are faked there."""

    def run(words, **_):
        monkeypatch.setattr(many_machines, "die_with_parent", lambda: None)

        def fake(requests, *_):
            for asked in requests:
                Path(asked.folder).mkdir(parents=True)
                (Path(asked.folder) / "trace.jsonl").write_text(asked.experiment.name)
                twin = (Path(asked.twin) / SAMPLES).read_text() if asked.twin else "none"
                (Path(asked.folder) / "seen.txt").write_text(
                    f"{twin} {sorted(Path(asked.baselines).glob('*'))[0].name}"
                )
                ending = Ending.CRASHED if asked.experiment.name == "crashes" else Ending.COMPLETE
                write_outcome(Path(asked.folder), asked.experiment, ending, "", 1.0)

        monkeypatch.setattr(workers, "run_requests", fake)
        code = many_machines.child(words[-1:])
        return type("Ended", (), {"returncode": code, "stderr": ""})

    monkeypatch.setattr(many_machines.subprocess, "run", run)


@pytest.fixture
def asked(tmp_path):
    """Requests of some names, as a study makes them."""
    (tmp_path / "baselines" / "ann_small").mkdir(parents=True)
    (tmp_path / "baselines" / "ann_small" / "baseline.json").write_text("{}")
    (tmp_path / "work" / "twin").mkdir(parents=True)
    (tmp_path / "work" / "twin" / SAMPLES).write_text("samples")

    def make(*names, twin="twin"):
        folder = tmp_path / "work"
        return [
            Request(
                Experiment("ann_small", str(CASE.config), Kind.FAULT, name),
                str(folder / name),
                str(folder / twin) if twin else "",
                str(tmp_path / "baselines"),
                "tf32",
                1e-3,
            )
            for name in names
        ]

    return make


def test_every_run_comes_back_once_and_says_that_it_is_whole(in_process, asked):
    cluster, done = FakeCluster(), []
    requests = [*asked("a", "b", "crashes"), *asked("c", twin="")]
    Elsewhere(cluster, [CASE])(requests, done.append)
    assert done == requests
    assert [len(part.requests) for part in cluster.parts] == [1, 1, 1, 1]
    for each in requests:
        record = find_record(Path(each.folder))
        assert record.experiment == each.experiment
        assert (Path(each.folder) / "trace.jsonl").read_text() == each.experiment.name
    assert find_record(Path(requests[2].folder)).ending is Ending.CRASHED
    assert (Path(requests[0].folder) / "seen.txt").read_text() == "samples ann_small"
    assert (Path(requests[3].folder) / "seen.txt").read_text() == "none ann_small"


def test_parts_are_of_one_case_and_twin_and_few_enough_for_all_cores(in_process, asked):
    cluster = FakeCluster()
    Elsewhere(cluster, [CASE])(asked(*(f"run-{n}" for n in range(40))), lambda _: None)
    assert [len(part.requests) for part in cluster.parts] == [8] * 5
    cluster = FakeCluster()
    cluster.cores = 4
    Elsewhere(cluster, [CASE])(asked(*(f"again-{n}" for n in range(40))), lambda _: None)
    assert {len(part.requests) for part in cluster.parts} == {2}


def test_a_part_that_is_lost_leaves_the_others_and_says_to_go_on(in_process, asked):
    def lose(answer):
        return dataclasses.replace(answer, report=Parcel(), said="lost") if answer.number == 1 else answer

    requests = asked("a", "b", "c")
    with pytest.raises(RunError) as failed:
        Elsewhere(FakeCluster(lose), [CASE])(requests, lambda _: None)
    assert failed.value.hint == "the same command goes on where it was"
    assert [find_record(Path(each.folder)) is not None for each in requests] == [True, False, True]


@pytest.mark.parametrize("change", ["missing", "changed"])
def test_a_run_that_does_not_arrive_whole_counts_as_none(in_process, asked, change):
    def damage(answer):
        files = dict(answer.report.files)
        name = next(name for name in files if name.endswith("trace.jsonl" if change == "changed" else OUTCOME))
        if change == "changed":
            files[name] = b"something else"
        else:
            del files[name]
        digests = {name: answer.report.digests[name] for name in files}
        return dataclasses.replace(answer, report=Parcel(files, digests))

    (request,) = asked("a")
    with pytest.raises(RunError):
        Elsewhere(FakeCluster(damage), [CASE])([request], lambda _: None)
    assert find_record(Path(request.folder)) is None


def test_a_machine_with_other_code_runs_nothing(in_process, asked):
    (request,) = asked("a")
    cluster = FakeCluster()
    Elsewhere(cluster, [CASE])([request], lambda _: None)
    (part,) = cluster.parts
    assert part.code == (code_digest(CASE.config),)
    answer = run_part(dataclasses.replace(part, code=("0" * 32,)), "n0de")
    assert answer.said.startswith("this machine has other code than the command")
    assert not answer.report.files


def test_a_case_outside_of_the_folder_that_is_sent_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    elsewhere = dataclasses.replace(CASE, name="mine", config=Path("/somewhere/mine.py"))
    with pytest.raises(UsageError, match="working directory"):
        Elsewhere(FakeCluster(), [elsewhere])
    inside = dataclasses.replace(elsewhere, config=tmp_path / "configs" / "mine.py")
    assert Elsewhere(FakeCluster(), [inside])._words == {"mine": "configs/mine.py"}
