"""`align verify --jobs`: the verdicts of one after another, whatever becomes of one of the cases."""

import dataclasses
import json
import re
import shutil
import signal
import subprocess
import sys
import time

import pytest

from harness.store.baselines import load_baseline, save_baseline

pytestmark = pytest.mark.slow

COSTS = {"seconds", "memory"}


@pytest.fixture(scope="module")
def three(user_folder, baselines, tmp_path_factory):
    """A folder with baselines of three cases: one that trains well, its like, and one that crashes."""
    root = tmp_path_factory.mktemp("baselines")
    shutil.copytree(baselines / "tiny", root / "tiny")
    tiny = load_baseline(baselines, "tiny")
    for name, trouble in (("second", ""), ("broken", "crash")):
        text = (user_folder / "tiny.py").read_text()
        changed = dict(tiny.provenance.settings)
        if trouble:
            text = text.replace('type="TinySegmentor"', f'type="TinySegmentor", trouble="{trouble}"')
            changed["model.trouble"] = repr(trouble)
        (user_folder / f"{name}.py").write_text(text)
        origin = dataclasses.replace(tiny.provenance, case=name, settings=changed)
        save_baseline(root, dataclasses.replace(tiny, case=name, provenance=origin))
    return root


def answers(out):
    """Case → what its result says but for times and what a run's process has."""
    found = {}
    for file in sorted(out.rglob("result.json")):
        told = json.loads(file.read_text())
        findings = [{**finding, "message": ""} for finding in told["findings"] if finding["signal"] not in COSTS]
        reason = re.sub(r"/\S+", "PATH", told["reason"])
        found[told["case"]] = (told["verdict"], reason, findings, told["terms"], told["loss"])
    return found


def test_verdicts_by_two_jobs_are_those_of_one_after_another(align, three, user_folder):
    """The environment of these tests sets the number of threads, so both ways compute with as many."""
    words = ("verify", "tiny.py", "broken.py", "second.py", "--device", "cpu", "--shadow", "none")
    words = (*words, "--baseline-dir", three)
    alone, beside = align(*words, "--out", "alone"), align(*words, "--jobs", "2", "--out", "beside")
    assert alone[0] == beside[0] == 2, beside
    first, second = answers(user_folder / "alone"), answers(user_folder / "beside")
    assert first == second
    assert {case: answer[0] for case, answer in second.items()} == {
        "tiny": "PASS", "second": "PASS", "broken": "ERROR"
    }  # fmt: skip
    lines = [line for line in beside[1].splitlines() if re.match(r"(PASS|ERROR) \w+: ", line)]
    assert [line.split(":")[0] for line in lines] == ["PASS tiny", "ERROR broken", "PASS second"], "not in their order"
    interim = [line for line in beside[2].splitlines() if " of 3)" in line]
    assert len(interim) == 2, beside[2]
    made = [json.loads(file.read_text())["invocation"]["id"] for file in (user_folder / "beside").rglob("result.json")]
    assert len(made) == 3
    assert len(set(made)) == 1


def test_an_interrupted_command_ends_all_that_it_started(three, user_folder, tmp_path):
    for name in ("tiny", "second"):
        text = (user_folder / f"{name}.py").read_text()
        (tmp_path / f"{name}.py").write_text(
            text.replace('type="TinySegmentor"', 'type="TinySegmentor", trouble="hang"')
        )
    shutil.copy(user_folder / "tiny_parts.py", tmp_path)
    work = tmp_path / "work"
    # Where the tests run in the background of a shell that ignores SIGINT, so would what they start.
    heard = "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); from harness.cli import main"
    command = [sys.executable, "-c", f"{heard}; sys.exit(main())", "verify", "tiny.py", "second.py", "--device", "cpu"]
    command += ["--jobs", "2", "--no-early-stop", "--work-dir", work, "--baseline-dir", three]
    running = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    deadline = time.monotonic() + 120
    while len(list(work.glob("*/trace.jsonl"))) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert len(list(work.glob("*/trace.jsonl"))) == 2
    running.send_signal(signal.SIGINT)
    running.communicate(timeout=60)
    assert running.returncode != 0
    left = subprocess.run(["pgrep", "-f", str(work)], capture_output=True, text=True, check=False).stdout
    assert left == ""
