"""`align report`: the exit code is that of the worst verdict, and what can't be believed is an error."""

import json
from dataclasses import replace

import pytest

import reports
from harness.running.invoking import VARIABLE, begin_invocation, handed_on
from harness.values.errors import UsageError
from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Status, Verdict

CODES = {Status.FAIL: 1, Status.ERROR: 2, Status.INCONCLUSIVE: 3}


def result(status, case="made_up"):
    outcome = Outcome.FAIL if status is Status.FAIL else Outcome.INCONCLUSIVE
    return Result(Verdict(case, status, "because", (Finding("envelope", outcome, "loss", "it is so"),)))


@pytest.mark.parametrize("status", CODES)
def test_the_exit_code_is_the_verdicts(align_here, tmp_path, status):
    reports.write([result(status)], tmp_path)
    code, out, _ = align_here("report", tmp_path, "--out", tmp_path)
    assert code == CODES[status]
    assert f"{status.value} made_up: because" in out


def test_of_many_the_worst_counts(align_here, tmp_path):
    reports.write([result(Status.INCONCLUSIVE, "a"), result(Status.FAIL, "b")], tmp_path)
    assert align_here("report", tmp_path, "--out", tmp_path)[0] == 1


def test_a_command_that_was_killed_is_no_pass(align_here, tmp_path):
    invocation = begin_invocation("align verify a b", ["a", "b"])
    reports.Report(tmp_path, ["a", "b"], invocation)
    code, out, _ = align_here("report", tmp_path, "--out", tmp_path)
    assert code == 2
    assert "ERROR a: not run" in out
    assert f"holds 2 results of {invocation.started}" in out


@pytest.mark.parametrize("name", ["report.zip", "report.html"])
def test_a_bundle_is_written_alone_and_has_the_same_exit_code(align_here, tmp_path, name):
    reports.write([result(Status.INCONCLUSIVE, "a"), result(Status.FAIL, "b")], tmp_path / "out")
    (tmp_path / "out" / "index.html").unlink()
    code, out, _ = align_here("report", tmp_path / "out", "--bundle", tmp_path / name)
    assert code == 1
    assert f"report: {tmp_path / name}" in out
    assert (tmp_path / name).stat().st_size > 1000
    assert not (tmp_path / "out" / "index.html").exists()


def test_a_changed_result_is_an_error(align_here, tmp_path):
    reports.write([result(Status.FAIL)], tmp_path)
    file = tmp_path / "made_up" / "result.json"
    file.write_text(file.read_text().replace('"FAIL"', '"PASS"').replace('"fail"', '"pass"'))
    code, _, err = align_here("report", tmp_path, "--out", tmp_path)
    assert code == 2
    assert "was changed" in err


def test_an_invocation_is_new_or_the_one_that_is_handed_on(monkeypatch):
    monkeypatch.delenv(VARIABLE, raising=False)
    one, other = begin_invocation("align verify", ["a"]), begin_invocation("align verify", ["a"])
    assert one.id != other.id
    assert one.machine
    assert one.cases == ("a",)
    shared = replace(one, cases=("a", "b"))
    monkeypatch.setenv(VARIABLE, handed_on(shared))
    assert begin_invocation("align verify a", ["a"]) == shared
    for broken in ("{", "[]", "{}", json.dumps({"id": "", "started": ""}), json.dumps({"id": 1, "started": "x"})):
        monkeypatch.setenv(VARIABLE, broken)
        with pytest.raises(UsageError, match="handed on"):
            begin_invocation("align verify", ["a"])
