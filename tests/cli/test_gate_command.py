"""`align gate`, and the defaults that `align verify` takes of a policy. The runs are stood in for."""

import dataclasses
import json
from datetime import date
from xml.etree import ElementTree as ET

import jsonschema
import pytest

from harness.cli import gate_command, verify
from harness.policy.policy_schema import gate_schema
from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Status, Verdict

POLICY = """\
[defaults]
device = "cpu"
shadow = "0"
out = "out"

[[cases]]
name = "ann_small"
tier = "fp32"

[[cases]]
name = "ocrnet_small"
device = "cpu"
required = false

[[cases]]
name = "emanet_small"
device = "sdaa"

[retries]
inconclusive = 1
"""
KNOWN = """
[[known]]
case = "ann_small"
cause = "envelope: grad_norm"
reason = "known"
owner = "kernels"
expires = 2027-01-31
"""


@pytest.fixture
def gate(tmp_path, monkeypatch, user_folder, align_here):
    """Runs `align gate` in a folder with a policy; each case's verdicts are those that are given, one after another."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(gate_command, "_today", lambda: date(2027, 1, 1))
    asked = []

    def run(policy, verdicts, *words):
        (tmp_path / "alignment.toml").write_text(policy)
        left = {case: list(statuses) for case, statuses in verdicts.items()}

        def verified(case, device, share, size, options, **_):
            asked.append((case.name, device, size, options))
            status = left[case.name].pop(0)
            failed = (Finding("envelope", Outcome.FAIL, "grad_norm", "it deviates"),)
            findings = failed if status is Status.FAIL else ()
            return Result(Verdict(case.name, status, f"{status.value} because", findings=findings), asked_device=device)

        monkeypatch.setattr(gate_command, "verify_case", verified)
        code, out, err = align_here("gate", *words)
        return code, out, err, asked

    return run


PASSES = {"ann_small": [Status.PASS], "ocrnet_small": [Status.PASS]}


def test_it_runs_what_is_demanded_on_the_device_with_each_ones_options(gate, tmp_path):
    code, out, _, asked = gate(POLICY, PASSES)
    assert code == 0
    assert "gate: open" in out
    assert [(case, device, size) for case, device, size, _ in asked] == [
        ("ann_small", "cpu", 2),
        ("ocrnet_small", "cpu", 2),
    ]
    assert [options.tier for *_, options in asked] == ["fp32", ""]
    assert [options.shadow for *_, options in asked] == ["0", "0"]
    document = json.loads((tmp_path / "out" / "gate.json").read_text())
    jsonschema.Draft202012Validator(gate_schema()).validate(document)
    assert (document["opens"], [case["case"] for case in document["cases"]]) == (True, ["ann_small", "ocrnet_small"])


def test_the_command_line_comes_before_the_defaults(gate, tmp_path):
    asked = gate(POLICY, PASSES, "--shadow", "none", "--out", "elsewhere")[3]
    assert [options.shadow for *_, options in asked] == ["none", "none"]
    assert (tmp_path / "elsewhere" / "junit.xml").exists()


@pytest.mark.parametrize("status", [Status.FAIL, Status.ERROR])
def test_a_required_case_closes_it(gate, status):
    code, out, _, _ = gate(POLICY, {**PASSES, "ann_small": [status]})
    assert code == status.exit_code
    assert "gate: closed by ann_small" in out


def test_a_case_that_is_not_required_does_not(gate, tmp_path):
    code, out, _, _ = gate(POLICY, {**PASSES, "ocrnet_small": [Status.FAIL]})
    assert code == 0
    assert "FAIL" in out
    suite = ET.parse(tmp_path / "out" / "junit.xml").getroot().find("testsuite")  # noqa: S314  # our own
    assert [suite.get(name) for name in ("tests", "failures", "skipped")] == ["2", "0", "1"]


def test_an_inconclusive_is_tried_again_as_often_as_it_says(gate):
    again = {**PASSES, "ann_small": [Status.INCONCLUSIVE, Status.PASS]}
    code, _, _, asked = gate(POLICY, again)
    assert (code, len(asked)) == (0, 3)
    code, *_ = gate(POLICY, {**PASSES, "ann_small": [Status.INCONCLUSIVE, Status.INCONCLUSIVE]})
    assert code == 3
    code, *_ = gate(POLICY.replace("inconclusive = 1", "inconclusive = 0"), again)
    assert code == 3


def test_a_failure_is_not_tried_again(gate):
    asked = gate(POLICY, {**PASSES, "ann_small": [Status.FAIL]})[3]
    assert len(asked) == 2


def test_a_known_deviation_opens_it_until_it_expires(gate, monkeypatch):
    failing = {**PASSES, "ann_small": [Status.FAIL]}
    code, out, _, asked = gate(POLICY + KNOWN, failing)
    assert (code, "a known deviation: known (kernels, until 2027-01-31)" in out) == (0, True)
    assert [options.no_early_stop for *_, options in asked] == [True, False]  # another one has to show beside it
    code, out, _, _ = gate(POLICY + KNOWN.replace("grad_norm", "loss"), failing)
    assert (code, "otherwise than is known" in out) == (1, True)
    monkeypatch.setattr(gate_command, "_today", lambda: date(2027, 2, 1))
    code, out, _, _ = gate(POLICY + KNOWN, failing)
    assert (code, "has expired" in out) == (1, True)


def test_one_that_is_not_seen_is_noted(gate):
    code, out, _, _ = gate(POLICY + KNOWN, PASSES)
    assert (code, "note: ann_small: the known deviation of line" in out) == (0, True)


def test_limits_reach_the_run_and_end_the_gate(gate):
    asked = gate(POLICY + "[limits]\ncase-seconds = 60\n", PASSES)[3]
    assert {options.timeout for *_, options in asked} == {60.0}
    asked.clear()
    code, out, _, asked = gate(POLICY + "[limits]\ngate-seconds = 1e-9\n", PASSES)
    assert (code, asked) == (2, [])
    assert "gate-seconds" in out or "closed by ann_small" in out


def test_an_old_or_thin_baseline_is_an_error_and_nothing_is_run(gate, tmp_path):
    for terms in ("oldest-days = 0.001", "repeats = 9"):
        code, _, _, asked = gate(POLICY + f"[baselines]\n{terms}\n", PASSES)
        assert (code, asked) == (2, [])
        reason = json.loads((tmp_path / "out" / "ann_small" / "result.json").read_text())["reason"]
        assert "next: align record ann_small" in reason
    assert gate(POLICY + "[baselines]\noldest-days = 36500\nrepeats = 8\n", PASSES)[0] == 0


def test_nothing_to_do_is_no_open_gate(gate):
    code, _, err, asked = gate(POLICY.replace('name = "ann_small"', 'name = "ann_small"\ndevice = "sdaa"')
                               .replace('device = "cpu"\nrequired', 'device = "sdaa"\nrequired'), PASSES)  # fmt: skip
    assert (code, asked) == (2, [])
    assert "demands nothing on this device" in err


def test_a_wrong_policy_is_told_before_anything_runs(gate):
    code, _, err, asked = gate(POLICY.replace("fp32", "fp31"), PASSES)
    assert (code, asked) == (2, [])
    assert "alignment.toml:8: cases[0].tier" in err
    assert "did you mean 'fp32'?" in err


def test_a_case_that_is_not_demanded_is_refused_and_one_can_be_chosen(gate):
    code, _, err, _ = gate(POLICY, PASSES, "ccnet_small")
    assert (code, "doesn't demand this case" in err) == (2, True)
    asked = gate(POLICY, PASSES, "ocrnet_small")[3]
    assert [case for case, *_ in asked] == ["ocrnet_small"]


def test_check_runs_nothing(gate):
    code, out, _, asked = gate(POLICY, PASSES, "--check")
    assert (code, asked) == (0, [])
    assert "demanded on cpu: ann_small, ocrnet_small" in out


def test_without_a_policy_it_says_where_one_is_looked_for(tmp_path, align_here, user_folder, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = align_here("gate")
    assert code == 2
    assert "alignment.toml" in err


def test_verify_takes_the_defaults_and_the_command_line_comes_first(tmp_path, align_here, user_folder, monkeypatch):
    seen = []
    result = Result(Verdict("ann_small", Status.PASS, "aligned"), asked_device="cpu")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        verify, "verify_case", lambda *words, **_: seen.append(words[-1]) or dataclasses.replace(result)
    )
    (tmp_path / "alignment.toml").write_text(POLICY)
    code, _, err = align_here("verify", "ann_small")
    assert code == 0
    assert "alignment.toml: device cpu, shadow 0, out out" in err
    assert align_here("verify", "ann_small", "--shadow", "none")[0] == 0
    assert align_here("verify", "ann_small", "--no-policy", "--device", "cpu")[0] == 0
    assert [(one.device, one.shadow) for one in seen] == [("cpu", "0"), ("cpu", "none"), ("cpu", "auto")]
    (tmp_path / "alignment.toml").write_text("[defaults]\nshadw = 1\n")
    code, _, err = align_here("verify", "ann_small")
    assert (code, "did you mean 'shadow'?" in err) == (2, True)
    assert len(seen) == 3
