"""Markdown, GitHub's step summary and annotations: text from outside stays text."""

import pytest

from harness.cli.ci_outputs import print_markdown, render_results, tell_github
from harness.values.result import Result
from harness.values.verdict import Status, Verdict

HOSTILE = "<script>|`x`\n::error::y%0A #1 @all \x1b[31m"


def result(status=Status.FAIL, case="ann", reason="the gradient is 5 % off"):
    return Result(Verdict(case, status, reason), command="align verify ann", asked_device="sdaa")


def test_the_table_tells_each_case_with_what_fails_first():
    text = render_results([result(Status.PASS, "good"), result()], "verify")
    assert text.startswith("### `align verify`: 1 of 2 aligned\n")
    rows = [line for line in text.splitlines() if line.startswith("| ") and "verdict |" not in line]
    assert ["FAIL" in row for row in rows] == [True, False]
    assert "align verify ann" in text


def test_an_emulated_run_says_so():
    emulated = Result(Verdict("ann", Status.PASS, "aligned"), asked_device="emulated")
    assert "EMULATED" in render_results([emulated], "verify").splitlines()[0]


def test_an_excuse_is_told():
    text = render_results([result()], "gate", {"ann": "a known deviation: mend it"})
    assert "a known deviation: mend it" in text
    assert "\u274c" not in text


def test_text_breaks_out_of_nothing(capsys):
    print_markdown([result(case=HOSTILE, reason=HOSTILE)], "verify")
    text = capsys.readouterr().out
    assert "<script>" not in text
    assert "\x1b" not in text
    assert sum(line.startswith("|") for line in text.splitlines()) == 3


@pytest.fixture
def github(tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    return tmp_path / "summary.md"


def test_github_gets_a_summary_and_an_annotation_for_what_does_not_pass(github, capsys):
    tell_github([result(Status.PASS, "good"), result(), result(Status.ERROR, "bad, case: 1")], "verify")
    err = capsys.readouterr().err.splitlines()
    assert err == [
        "::error title=FAIL ann::the gradient is 5 %25 off",
        "::error title=ERROR bad%2C case%3A 1::the gradient is 5 %25 off",
    ]
    assert "1 of 3 aligned" in github.read_text()


def test_what_is_excused_is_a_notice(github, capsys):
    tell_github([result()], "gate", {"ann": "known"})
    assert capsys.readouterr().err.startswith("::notice title=FAIL ann::")


def test_no_text_makes_an_annotation_of_its_own(github, capsys):
    tell_github([result(case=HOSTILE, reason=HOSTILE)], "verify")
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "%250A" in err
    assert "\x1b" not in err


def test_elsewhere_nothing_is_told(monkeypatch, capsys, tmp_path):
    monkeypatch.delenv("GITHUB_ACTIONS", raising=False)
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "summary.md"))
    tell_github([result()], "verify")
    assert capsys.readouterr().err == ""
    assert not (tmp_path / "summary.md").exists()


def test_a_summary_that_cannot_be_written_changes_no_verdict(github, capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(tmp_path / "absent" / "summary.md"))
    tell_github([result()], "verify")
    assert "::warning::" in capsys.readouterr().err
