"""Finished runs on disk: a folder holds a whole run or none."""

from dataclasses import replace

import pytest

from harness.lab.power.finished_run import Ending, find_record, write_outcome
from harness.lab.power.study_folder import ERRORS, OUTCOME
from harness.lab.power.study_run import Experiment, Kind
from harness.running.folder import PROVENANCE, STREAM
from harness.store.provenance_file import write_provenance
from harness.store.stream import TraceStream
from harness.values.errors import AlignmentError, RunError
from tests.healthy_runs import make_provenance, make_trace

EXPERIMENT = Experiment("made_up", "made_up.py", Kind.FAULT, "bn-eps-1e-3", faults=("bn-eps-1e-3",))
WATCHED = replace(EXPERIMENT, kind=Kind.SHADOWED, shadow=(0,), forced=True)


def stream(folder, trace, iterations):
    with TraceStream(folder / STREAM, trace.planned) as writer:
        for at in range(iterations):
            values = {name: float(values[at]) for name, values in trace.signals.items()}
            writer.append(at, values, trace.batches[at])


def test_a_folder_without_an_outcome_holds_no_run(tmp_path):
    assert find_record(tmp_path) is None
    stream(tmp_path, make_trace(), 3)
    assert find_record(tmp_path) is None, "killed before its end"


def test_a_run_is_found_as_it_was_written(tmp_path):
    stream(tmp_path, make_trace(), 4)
    write_provenance(tmp_path / PROVENANCE, make_provenance())
    write_outcome(tmp_path, EXPERIMENT, Ending.STOPPED, "", 1.5)
    record = find_record(tmp_path)
    assert (record.experiment, record.ending, record.seconds) == (EXPERIMENT, Ending.STOPPED, 1.5)
    assert len(record.trace) == 4
    assert not record.trace.complete
    assert record.provenance == make_provenance()
    assert record.errors is None


def test_a_crash_may_leave_nothing(tmp_path):
    write_outcome(tmp_path, WATCHED, Ending.CRASHED, "ValueError: boom", 1.5)
    record = find_record(tmp_path)
    assert (record.trace, record.provenance, record.shadow, record.forced) == (None, None, None, None)


def test_what_did_not_crash_and_left_nothing_is_an_error(tmp_path):
    write_outcome(tmp_path, WATCHED, Ending.COMPLETE, "", 1.5)
    record = find_record(tmp_path)
    for what in ("trace", "provenance", "shadow", "forced"):
        with pytest.raises(AlignmentError):
            getattr(record, what)


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"experiment": {}, "ending": "x", "error": "", "seconds": 1}'])
def test_a_malformed_outcome_is_an_error(tmp_path, text):
    (tmp_path / OUTCOME).write_text(text)
    with pytest.raises(RunError):
        find_record(tmp_path)


def test_errors_of_gradients_are_never_unpickled(tmp_path):
    import numpy as np

    write_outcome(tmp_path, EXPERIMENT, Ending.COMPLETE, "", 1.5)
    with (tmp_path / ERRORS).open("wb") as file:
        np.savez(file, gradient=np.array([{}], dtype=object), update=np.zeros((1, 1)))
    with pytest.raises(RunError):
        _ = find_record(tmp_path).errors
