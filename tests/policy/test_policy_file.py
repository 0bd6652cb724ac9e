"""A policy is read whole or refused with every error: what, line and key, observed, allowed, did you mean."""

from datetime import date
from pathlib import Path

import pytest

from harness.policy.policy_file import find_policy, read_policy
from harness.policy.policy_values import PolicyError

WHOLE = """\
[defaults]
device = "emulated"
shadow = "0,1"
forced = true
false-alarm-rate = 1e-4
out = "report"

[[cases]]
name = "ann_small"
tier = "fp32"
device = ["emulated", "cpu"]

[[cases]]
name = "ocrnet_small"
required = false
iterations = 10

[[known]]
case = "ann_small"
cause = ["shadow: convolution_backward *", "envelope: *"]
reason = "the 1x1 weight gradient sums in half precision"
owner = "kernels@example.org"
expires = 2027-01-31

[retries]
inconclusive = 2

[limits]
case-seconds = 600
gate-seconds = 3600

[baselines]
oldest-days = 180
repeats = 8
"""


@pytest.fixture
def write(tmp_path):
    def put(text, name="alignment.toml"):
        path = tmp_path / name
        path.write_text(text)
        return path

    return put


def known(name):
    return name if name in {"ann_small", "ocrnet_small"} else None


def refused(path):
    with pytest.raises(PolicyError) as caught:
        read_policy(path, known)
    return caught.value


def test_every_kind_of_entry_is_read(write):
    policy = read_policy(write(WHOLE), known)
    assert policy.defaults == {
        "device": "emulated",
        "shadow": "0,1",
        "forced": True,
        "false_alarm_rate": 1e-4,
        "out": Path("report"),
    }
    ann, ocrnet = policy.cases
    assert (ann.name, ann.devices, ann.required, ann.options) == (
        "ann_small",
        ("emulated", "cpu"),
        True,
        {"tier": "fp32"},
    )
    assert (ocrnet.devices, ocrnet.required, ocrnet.options) == ((), False, {"iterations": 10})
    (deviation,) = policy.known
    assert (deviation.owner, deviation.expires, deviation.line) == ("kernels@example.org", date(2027, 1, 31), 18)
    assert deviation.covers("shadow: convolution_backward weight gradient")
    assert not deviation.covers("shadow: convolution output")
    assert (policy.retries, policy.case_seconds, policy.gate_seconds) == (2, 600.0, 3600.0)
    assert (policy.baselines.oldest_days, policy.baselines.repeats) == (180.0, 8)


def test_pyproject_holds_the_same(write):
    lines = []
    for line in WHOLE.splitlines():
        opened = line.startswith("[[") and line.replace("[[", "[[tool.alignment.")
        lines.append(opened or (line.startswith("[") and line.replace("[", "[tool.alignment.", 1)) or line)
    path = write('[project]\nname = "x"\n' + "\n".join(lines), "pyproject.toml")
    policy = read_policy(path, known)
    assert (len(policy.cases), len(policy.known), policy.retries) == (2, 1, 2)
    path.write_text(path.read_text().replace('tier = "fp32"', 'tier = "fp31"'))
    assert refused(path).where == f"{path}:12: cases[0].tier"


def test_the_nearest_policy_is_found(tmp_path):
    inner = tmp_path / "a" / "b"
    inner.mkdir(parents=True)
    assert find_policy(inner) is None
    (tmp_path / "pyproject.toml").write_text("[tool.ruff]\n")
    assert find_policy(inner) is None
    (tmp_path / "pyproject.toml").write_text("[tool.alignment.defaults]\n")
    assert find_policy(inner) == tmp_path / "pyproject.toml"
    (tmp_path / "alignment.toml").write_text("")
    assert find_policy(inner) == tmp_path / "alignment.toml"
    (tmp_path / "a" / "alignment.toml").write_text("")
    assert find_policy(inner) == tmp_path / "a" / "alignment.toml"


CASE = '[[cases]]\nname = "ann_small"\n'
KNOWN = '[[known]]\ncase = "ann_small"\ncause = "x"\nreason = "r"\nowner = "o"\nexpires = 2027-01-31\n'


@pytest.mark.parametrize(
    ("text", "where", "observed", "hint"),
    [
        ("[default]\n", "1: default", "default", "did you mean 'defaults'?"),
        ("x = 1\n", "1: x", "x", None),
        ("[defaults]\nshadw = 'auto'\n", "2: defaults.shadw", "shadw", "did you mean 'shadow'?"),
        ("[defaults]\nfalse_alarm_rate = 0.1\n", "2: defaults.false_alarm_rate", "false_alarm_rate",
         "did you mean 'false-alarm-rate'?"),
        ("[defaults]\n\ntier = 'tf23'\n", "3: defaults.tier", "'tf23'", "did you mean 'tf32'?"),
        ("[defaults]\ndevice = 'sdas'\n", "2: defaults.device", "'sdas'", "did you mean 'sdaa'?"),
        ("[defaults]\nforced = 'yes'\n", "2: defaults.forced", "'yes'", None),
        ("[defaults]\niterations = 0\n", "2: defaults.iterations", "0", None),
        ("[defaults]\niterations = true\n", "2: defaults.iterations", "True", None),
        ("[defaults]\nfalse-alarm-rate = 1.5\n", "2: defaults.false-alarm-rate", "1.5", None),
        ("[defaults]\ntimeout = nan\n", "2: defaults.timeout", "nan", None),
        ("[defaults]\nshadow = '1;2'\n", "2: defaults.shadow", "'1;2'", None),
        ("[defaults]\ncfg-options = ['lr']\n", "2: defaults.cfg-options", "['lr']", None),
        ("defaults = 3\n", "defaults", "3", None),
        ("[cases]\nname = 'ann_small'\n", "1: cases", "dict", None),
        ("[[cases]]\ntier = 'fp32'\n", "1: cases[0]", "no name", None),
        (CASE + "[[cases]]\nname = 'ocrnet_smal'\n", "4: cases[1].name", None, "did you mean 'ocrnet_small'?"),
        (CASE + CASE, "4: cases[1].name", "ann_small on every device", None),
        (CASE + "device = 'cpu'\n" + CASE, "5: cases[1].name", "ann_small on every device", None),
        (CASE + "device = 'cpu:1'\n", "3: cases[0].device", "'cpu:1'", "did you mean 'cpu'?"),
        (CASE + KNOWN.replace("ann_small", "ann_smal"), "4: known[0].case", "ann_smal", "did you mean 'ann_small'?"),
        (CASE + KNOWN.replace("2027-01-31", "'2027-01-31'"), "8: known[0].expires", "'2027-01-31'", None),
        (CASE + KNOWN.replace("expires = 2027-01-31\n", ""), "3: known[0]", "no expires", None),
        (CASE + KNOWN.replace("owner = 'o'", "").replace('owner = "o"\n', ""), "3: known[0]", "no owner", None),
        ("[retries]\ninconclusive = -1\n", "2: retries.inconclusive", "-1", None),
        ("[limits]\ncase-seconds = 0\n", "2: limits.case-seconds", "0", None),
        ("[baselines]\nrepeats = 3\n", "2: baselines.repeats", "3", None),
        ("[baselines]\noldest-days = '90'\n", "2: baselines.oldest-days", "'90'", None),
        ("[tests\n", "1:", None, "https://toml.io"),
    ],
)  # fmt: skip
def test_what_cannot_be_meant_is_told_with_its_place(write, text, where, observed, hint):
    path = write(text)
    error = refused(path)
    assert str(error.where).startswith(f"{path}:{where}") or str(error.where) == f"{path}: {where}"
    if observed is not None:
        assert error.observed == observed
    assert error.hint == hint
    assert error.allowed or hint == "https://toml.io"


def test_all_errors_are_told_at_once(write):
    error = refused(write("[defaults]\ntier = 'x'\nfoo = 1\n[limits]\ncase-seconds = 0\n"))
    assert len(error.others) == 2
    for said in ("defaults.tier", "defaults.foo", "limits.case-seconds"):
        assert said in str(error)


def test_a_missing_file_is_told(tmp_path):
    with pytest.raises(PolicyError, match="missing"):
        read_policy(tmp_path / "alignment.toml")
