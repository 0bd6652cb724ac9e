"""`align power` from the command line, without a run."""

import json

import pytest

from harness.cli import main


def power(tmp_path, *words):
    folders = ["--work-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    return main(["power", "ann_small", "--judge-only", *words, *folders])


def test_a_study_of_which_nothing_has_run_says_so(tmp_path, capsys):
    assert power(tmp_path, "--faults", "bn-eps-1e-3", "--healthy", "3") == 0
    assert "not run yet" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "power.json").read_text())
    assert document["settings"]["missing"] == {"ann_small": 1 + 8 + 4 + 1 + 3}
    assert document["rates"]["gate"]["detected"]["rate"] is None
    assert not (tmp_path / "runs").exists()


def test_a_sample_is_planned_and_told(tmp_path, capsys):
    assert power(tmp_path, "--sample", "5", "--healthy", "0", "--repeats", "8", "--sample-seed", "3") == 0
    assert "random sample of 5 of" in capsys.readouterr().out
    document = json.loads((tmp_path / "out" / "power.json").read_text())
    assert document["settings"]["missing"] == {"ann_small": 1 + 4 + 5}
    assert document["settings"]["sampling"]["count"] == 5
    for report in ("power.md", "power.html"):
        assert "random sample of 5 of" in (tmp_path / "out" / report).read_text()


@pytest.mark.parametrize(
    "words", [["--faults", "no-such-fault"], ["--faults", ""], ["--iterations", "31"], ["--forced"]]
)
def test_wrong_usage_ends_with_2(tmp_path, words):
    assert power(tmp_path, *words) == 2
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("words", [["--shadow", "first"], ["--healthy", "-1"], ["--jobs", "two"]])
def test_what_is_no_number_is_refused_by_the_parser(tmp_path, words, capsys):
    with pytest.raises(SystemExit) as ended:
        power(tmp_path, *words)
    assert ended.value.code == 2
    assert "error" in capsys.readouterr().err


def test_where_opencv_cannot_be_imported_nothing_is_run(tmp_path, capsys, monkeypatch):
    def refuse(name):
        raise ImportError("libGL.so.1: cannot open shared object file: No such file or directory", name="cv2")

    monkeypatch.setattr("harness.lab.commands.power.importlib.import_module", refuse)
    folders = ["--work-dir", str(tmp_path / "runs"), "--out", str(tmp_path / "out")]
    assert main(["power", "ann_small", "--faults", "none", "--healthy", "1", *folders]) == 2
    assert "opencv-python-headless" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
