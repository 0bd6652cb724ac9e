"""`align baseline`, and the hints of `align verify` about baselines, as a user pastes them."""

import json
import re
import shlex
import shutil

import pytest

from harness.cli.main import build_parser
from harness.running.cases import find_case
from harness.store.baselines import load_baseline, save_baseline
from tests.healthy_runs import make_baseline, make_trace


@pytest.fixture
def here(tmp_path, monkeypatch, user_folder, align_here):
    """A fresh working directory with a config of the user's own in a folder whose name has a space."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALIGN_BASELINE_DIR", raising=False)
    (tmp_path / "my cases").mkdir()
    for path in user_folder.glob("*.py"):
        shutil.copy(path, tmp_path / "my cases")
    config = tmp_path / "my cases" / "tiny.py"
    named = config.read_text()
    config.write_text(named.replace('reference="cpu"', 'reference=""'))
    assert named != config.read_text()
    return tmp_path


def next_command(text):
    """The command that a message names, as words."""
    found = re.search(r"(?:next: |hint: +)(align .+?)\s*$", text, re.MULTILINE)
    assert found, text
    return shlex.split(found[1])


def test_a_missing_baseline_says_the_command_that_makes_it(here, align_here):
    code, out, _ = align_here("verify", "my cases/tiny.py", "--device", "cpu", "--cfg-options", "randomness.seed=3")
    assert code == 2
    words = next_command(out)
    asked = build_parser().parse_args(words[1:])
    case = find_case(asked.cases[0], asked.cfg_options)
    assert (asked.command, case.config, case.seed) == ("record", here / "my cases" / "tiny.py", 3)
    assert asked.baseline_dir is None


def test_the_folder_that_was_given_stays_in_the_hint(here, align_here):
    words = ("verify", "my cases/tiny.py", "--device", "cpu", "--baseline-dir", "my baselines")
    asked = build_parser().parse_args(next_command(align_here(*words)[1])[1:])
    assert str(asked.baseline_dir) == "my baselines"


def test_several_baselines_say_the_command_that_chooses(here, align_here, monkeypatch):
    for reference in ("cpu", "cuda"):
        save_baseline(here / "baselines", make_baseline(case="tiny", reference=reference))
    words = ("verify", "my cases/tiny.py", "--device", "cpu", "--out", "my report")
    monkeypatch.setattr("sys.argv", ["align", *words])
    again = next_command(align_here(*words)[1])
    assert again == ["align", *words, "--reference", "cpu"]


def test_a_damaged_baseline_says_the_command_that_records_it_anew(here, align_here):
    folder = save_baseline(here / "baselines", make_baseline(case="tiny", reference="cuda-h200"))
    run = folder / "fp32" / "run-0.csv"
    run.write_text(run.read_text()[:-3])
    asked = build_parser().parse_args(next_command(align_here("verify", "my cases/tiny.py", "--device", "cpu")[1])[1:])
    assert (asked.device, asked.reference, asked.reason) == ("cuda", "cuda-h200", "it was damaged")
    assert find_case(asked.cases[0]).name == "tiny"


def test_list_shows_what_comes_along_and_which_is_used(here, align_here):
    code, out, _ = align_here("baseline", "list")
    assert code == 0
    assert re.search(r"^ann_small/cpu +comes along .*fp32 × 8.*by default", out, re.MULTILINE)
    code, out, _ = align_here("baseline", "list", "ann_small", "--json")
    (found,) = json.loads(out)["baselines"]
    assert (code, found["case"], found["runs"]) == (0, "ann_small", {"fp32": 8, "tf32": 8})


def test_list_ends_with_2_where_one_is_damaged(here, align_here):
    folder = save_baseline(here / "baselines", make_baseline())
    (folder / "fp32" / "run-0.csv").unlink()
    code, out, _ = align_here("baseline", "list")
    assert code == 2
    assert "damaged: made_up/cpu: a file is missing" in out


def test_show_says_what_made_it_and_what_it_sees(here, align_here):
    code, out, _ = align_here("baseline", "show", "ann_small")
    assert code == 0
    for said in ("rows of elements", "capability AVX512", "align record ann_small", "grad_norm", "SHA-256"):
        assert said in out


def test_diff_says_the_signed_change(here, align_here):
    save_baseline(here / "baselines", make_baseline())
    higher = {tier: tuple(make_trace(s, scale=1.02) for s in range(8)) for tier in ("fp32", "tf32")}
    save_baseline(here / "baselines", make_baseline(reference="new", tiers=higher))
    code, out, _ = align_here("baseline", "diff", "made_up/cpu", "made_up/new")
    assert code == 0
    assert re.search(r"^fp32 +loss +\+2 % +\+2 %", out, re.MULTILINE)


def test_what_is_exported_is_adopted_and_replaced_only_with_a_reason(here, align_here, monkeypatch):
    code, out, _ = align_here("baseline", "export", "ann_small", "--out", "a b.zip")
    assert code == 0
    words = next_command(out.replace("next, on the other machine: ", "next: "))
    for said in (None, "already"):
        monkeypatch.setattr("sys.argv", words)
        code, out, err = align_here(*words[1:])
        assert (code, said is None or said in err) == (2 if said else 0, True)
    again = next_command(err)
    assert align_here(*again[1:])[0] == 0
    assert load_baseline(here / "baselines", "ann_small").reference == "cpu"
    assert "in place of the one of" in align_here("baseline", "show", "ann_small")[1]


def test_a_baseline_of_another_config_is_refused(here, align_here):
    align_here("baseline", "export", "ann_small", "--out", "a.zip")
    words = ("baseline", "adopt", "a.zip", "--cfg-options", "optim_wrapper.optimizer.lr=0.5")
    code, _, err = align_here(*words)
    assert code == 2
    assert "optim_wrapper.optimizer.lr: 0.001 there, 0.5 here" in err
    assert not (here / "baselines").exists()
