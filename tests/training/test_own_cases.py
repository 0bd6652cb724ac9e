"""A case in a user's Python file: found without running it, recorded and verified by the commands."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.running.cases import find_case
from harness.values.errors import CaseError, UsageError

OWN = Path(__file__).parent / "own"


def align(*words, cwd, rc=0):
    told = subprocess.run(
        [sys.executable, "-m", "harness.cli", *map(str, words)], cwd=cwd, capture_output=True, text=True, check=False
    )
    assert told.returncode == rc, told.stdout + told.stderr
    return told.stdout + told.stderr


def written(folder, text):
    path = folder / "mine.py"
    path.write_text(text)
    return str(path)


def test_settings_are_read_without_running_the_file(tmp_path):
    path = written(
        tmp_path,
        'import harness as a\nN = 7\nraise SystemExit\n@a.case(iterations=N, tier="fp32")\ndef f(d): ...\n',
    )
    case = find_case(path)
    assert (case.name, case.function, case.iterations, case.tiers) == ("mine", "f", 7, ("fp32",))
    assert case.own_start


def test_of_several_one_is_named(tmp_path):
    path = written(tmp_path, "from harness import case\n@case()\ndef one(d): ...\n@case(start={})\ndef two(d): ...\n")
    with pytest.raises(CaseError, match="several cases"):
        find_case(path)
    case = find_case(f"{path}:two")
    assert (case.name, case.own_start, case.address) == ("mine-two", False, f"{path}:two")
    with pytest.raises(CaseError, match="no case 'three'"):
        find_case(f"{path}:three")


@pytest.mark.parametrize(
    ("decorator", "message"),
    [
        ("@harness.case", "is called"),
        ("@harness.case(30)", "named settings alone"),
        ("@harness.case(iterations=len('x'))", "no plain value"),
        ("@harness.case(iteration=3)", "no such setting"),
        ("@harness.case(iterations=0)", "out of range"),
        ("@harness.case(tier='fp8')", "out of range"),
    ],
)
def test_a_declaration_that_cannot_be_meant_is_refused(tmp_path, decorator, message):
    with pytest.raises(CaseError, match=message):
        find_case(written(tmp_path, f"import harness\n{decorator}\ndef f(d): ...\n"))


def test_options_of_a_config_are_refused():
    with pytest.raises(UsageError, match="no config"):
        find_case(str(OWN / "plain.py"), ["model.type=Other"])


def test_a_config_is_no_own_case():
    assert find_case("ann_small").function == ""


@pytest.mark.slow
@pytest.mark.emulated
@pytest.mark.parametrize("name", ["plain", "gan", "accumulating"])
def test_a_healthy_port_passes_and_a_wrong_gradient_fails_by_name(tmp_path, name):
    file = OWN / f"{name}.py"
    told = align("record", file, "--device", "cpu", cwd=tmp_path)
    assert (tmp_path / "baselines" / name / "cpu" / "baseline.json").is_file(), told
    told = align("verify", file, "--device", "emulated", cwd=tmp_path)
    assert re.search(rf"^PASS {name}: ", told, re.MULTILINE), told
    assert "100 % of the calls checked" in told
    fault = "conv-wgrad-x1.01"
    told = align("verify", file, "--device", "emulated", "--fault", fault, cwd=tmp_path, rc=1)
    assert re.search(rf"FAIL {name}: shadow: .*weight gradients?\b.* 1 % too large", told), told


@pytest.mark.slow
@pytest.mark.emulated
def test_an_optimizer_that_does_something_else_fails_by_the_trace(tmp_path):
    file = OWN / "plain.py"
    align("record", file, "--device", "cpu", cwd=tmp_path)
    told = align(
        "verify", file, "--device", "emulated", "--fault", "momentum-0.85", "--shadow", "none", cwd=tmp_path, rc=1
    )
    assert "FAIL plain" in told
    told = align("verify", file, "--device", "emulated", "--fault", "schedule-constant", cwd=tmp_path, rc=2)
    assert "this fault acts on mmengine's Runner" in told
    told = align("verify", file, "--device", "emulated", "--amp", cwd=tmp_path, rc=2)
    assert "a case of your own loop has no such option" in told


@pytest.mark.slow
@pytest.mark.emulated
def test_a_loop_is_started_anew_on_its_way_and_a_fault_of_a_later_piece_is_seen_at_its_start(tmp_path):
    text = (OWN / "plain.py").read_text().replace("iterations=12, ", "iterations=6, restarts=2, ")
    file = written(tmp_path, text)
    align("record", file, "--device", "cpu", cwd=tmp_path)
    told = align("verify", file, "--device", "emulated", cwd=tmp_path)
    assert "over 6 iterations in 2 pieces" in told
    options = ("--device", "emulated", "--shadow", "none", "--fault", "conv-wgrad-x1.05@3")
    told = align("verify", file, *options, cwd=tmp_path, rc=1)
    assert re.search("first step: grad_norm is .* at iteration 3", told), told
    written(tmp_path, text.replace("restarts=2", "restarts=3"))
    told = align("verify", file, "--device", "emulated", cwd=tmp_path, rc=3)
    assert "alignment.restarts is 2 in 6 iterations on the reference and 3 in 6 iterations on the candidate" in told
