"""`align evaluate` as a user runs it, on a model of two layers and scenes of a few thousand pixels."""

import json
import zipfile
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch

from harness.cli import main

TINY = Path(__file__).parent / "tiny_config.py"


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("evaluate")


@pytest.fixture(scope="module")
def checkpoint(place):
    torch.manual_seed(0)
    path = place / "tiny.pth"
    weights = {"layer.weight": torch.randn(19, 3, 3, 3) / 5, "layer.bias": torch.randn(19) / 5}
    torch.save({"state_dict": weights}, path)
    return path


@pytest.fixture
def align(place, tmp_path, monkeypatch, capsys):
    """The command in this process: the processes that answer images are its own as ever."""
    monkeypatch.setenv("ALIGN_CACHE", str(place / "cache"))
    monkeypatch.setenv("PYTHONPATH", str(TINY.parent))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.chdir(tmp_path)

    def call(*words, expect=0):
        code = main([str(word) for word in words])
        done = SimpleNamespace(**dict(zip(("stdout", "stderr"), capsys.readouterr(), strict=True)))
        assert code == expect, done.stdout + done.stderr
        return done

    return call


def scores(folder):
    return json.loads((folder / "scores.json").read_text())


def without_pace(folder):
    content = scores(folder)
    return {name: value for name, value in content.items() if name not in {"images_a_second", "command"}}


def test_a_checkpoint_is_scored_and_shown(align, checkpoint, tmp_path):
    done = align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "out")
    folder = tmp_path / "out"
    assert "mode whole, at the image's own size" in done.stderr
    assert done.stdout.startswith(
        "classes          IoU      nIoU\n--------------------------------\nroad          : 0."
    )
    assert "Score Average : 0." in done.stdout
    content = scores(folder)
    assert content["images"] == content["of"] == 5
    assert sum(map(sum, content["confMatrix"])) == 5 * 48 * 96
    assert 0 < content["mIoU"] < 0.2
    assert content["averageScoreInstClasses"] is not None
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png;base64") == 5 * 3
    assert "img-src data:" in page
    assert "nan" not in done.stdout


@pytest.mark.slow
def test_processes_and_interruptions_change_nothing(align, checkpoint, tmp_path):
    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "one")
    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "two", "--nproc-per-node", "2")
    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "torn", "--limit", "3")
    counts = tmp_path / "torn" / "counts-0.jsonl"
    counts.write_bytes(counts.read_bytes()[:-40])  # killed in the middle of a line
    done = align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "torn")
    assert "went on from 2 images" in done.stderr
    expected = without_pace(tmp_path / "one")
    assert without_pace(tmp_path / "two") == expected
    assert without_pace(tmp_path / "torn") == expected
    again = align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "one")
    assert "went on from 5 images" in again.stderr


def test_a_folder_of_another_evaluation_is_refused(align, checkpoint, tmp_path):
    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "out", "--limit", "1")
    refused = align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "out", "--flip", expect=2)
    assert "the folder holds another evaluation" in refused.stderr
    assert "flipped too" in refused.stderr


@pytest.mark.slow
def test_windows_and_scales_on_sizes_that_do_not_divide(align, checkpoint):
    words = ("--mode", "slide", "--crop", "31", "37", "--stride", "20", "23", "--scales", "0.6", "1.3", "--flip")
    done = align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "out", "--limit", "2", *words)
    assert "mode slide, crop 31×37, stride 20×23" in done.stderr
    assert "scales 0.6, 1.3, flipped too, fused by the mean of softmax" in done.stderr
    # 29 × 58: 1 × 2 windows; 62 × 125: 3 × 5; twice, for the mirrored views
    assert f"{2 * 2 * (1 * 2 + 3 * 5)} passes" in done.stderr


def test_a_test_split_is_answered_exported_and_not_scored(align, checkpoint, tmp_path):
    words = (
        "evaluate",
        TINY,
        checkpoint,
        "--device",
        "cpu",
        "--work-dir",
        "out",
        "--split",
        "test",
        "--export",
        "sent",
    )
    done = align(*words)
    assert "not scored: the images have no labels" in done.stdout
    with zipfile.ZipFile(tmp_path / "sent.zip") as archive:
        names = archive.namelist()
    assert len(names) == 5
    assert names[0].endswith("_leftImg8bit.png")
    exported = cv2.imread(str(tmp_path / "sent" / names[0]), cv2.IMREAD_UNCHANGED)
    assert exported.shape == (48, 96)
    assert set(np.unique(exported)) <= {7, 8, 11, 12, 13, 17, 19, 20, 21, 22, 23, 24, 25, 26, 27, 28, 31, 32, 33}
    (tmp_path / "sent" / "stranger.png").write_bytes((tmp_path / "sent" / names[0]).read_bytes())
    assert "files of other images" in align(*words, expect=2).stderr


@pytest.mark.slow
def test_missing_instance_maps_are_said_never_zero(align, checkpoint, place, tmp_path):
    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "out", "--limit", "1")
    (root,) = [folder for folder in (place / "cache").iterdir() if (folder / "leftImg8bit" / "val").is_dir()]
    bare = tmp_path / "bare"
    for path in root.rglob("*.png"):
        if "instanceIds" not in path.name:
            copy = bare / path.relative_to(root)
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(path.read_bytes())
    done = align("evaluate", TINY, checkpoint, "--device", "cpu", "--data-root", bare, "--work-dir", "bare-out")
    assert "nIoU not measured: no instance maps" in done.stdout
    content = scores(tmp_path / "bare-out")
    assert content["averageScoreInstClasses"] is None
    assert set(content["classInstScores"].values()) == {None}
    assert "not measured" in (tmp_path / "bare-out" / "report.html").read_text()


@pytest.mark.slow
def test_bad_input_is_named(align, checkpoint, place, tmp_path):
    def refused(*words):
        return align("evaluate", TINY, *words, "--device", "cpu", "--work-dir", "bad", expect=2).stderr

    assert "the checkpoint can't be read" in refused("nowhere.pth")
    other = tmp_path / "other.pth"
    torch.save({"backbone.weight": torch.zeros(3)}, other)
    told = refused(other)
    assert "the checkpoint's weights aren't this model's" in told
    assert "other.pth" in told
    assert "there are fewer images" in refused(checkpoint, "--limit", "99")
    root = tmp_path / "empty"
    (root / "leftImg8bit" / "val").mkdir(parents=True)
    assert "A split has no images" in refused(checkpoint, "--data-root", root)

    align("evaluate", TINY, checkpoint, "--device", "cpu", "--work-dir", "good", "--limit", "1")
    (drawn,) = [folder for folder in (place / "cache").iterdir() if (folder / "leftImg8bit" / "val").is_dir()]
    broken = tmp_path / "broken"
    for path in drawn.rglob("*.png"):
        copy = broken / path.relative_to(drawn)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    label = sorted(broken.rglob("*labelTrainIds.png"))[3]
    whole = label.read_bytes()
    for content, message in (
        (whole[:-30], "cut short"),
        (cv2.imencode(".png", np.full((48, 96), 21, np.uint8))[1].tobytes(), "holds label ids"),
        (cv2.imencode(".png", np.zeros((48, 95), np.uint8))[1].tobytes(), "doesn't fit its image"),
    ):
        label.write_bytes(content)
        told = align(
            "evaluate", TINY, checkpoint, "--device", "cpu", "--data-root", broken, "--work-dir", "broken-out", expect=2
        ).stderr
        assert message in told
        assert label.name in told
    label.write_bytes(whole)
    mended = align("evaluate", TINY, checkpoint, "--device", "cpu", "--data-root", broken, "--work-dir", "broken-out")
    assert "went on from 3 images" in mended.stderr


@pytest.mark.slow
def test_a_device_is_held_to_a_reference(align, checkpoint, tmp_path):
    words = ("evaluate", TINY, checkpoint)
    align(*words, "--device", "cpu", "--as-reference", "--repeats", "4", "--tier", "tf32", "--work-dir", "ref")
    same = align(
        *words, "--device", "cpu", "--work-dir", "same", "--against", "ref", "--tier", "tf32", "--out", "report"
    )
    assert "PASS tiny_config: 0 of the pixels are answered otherwise, the mIoU differs by +0 points" in same.stdout
    result = json.loads((tmp_path / "report" / "tiny_config" / "result.json").read_text())
    assert result["terms"]["against"] == "answers"
    assert (tmp_path / "report" / "junit.xml").exists()
    assert align("report", "report", "--out", "merged").stdout  # no result contradicts itself
    page = (tmp_path / "report" / "tiny_config" / "report.html").read_text()
    assert "Does it answer like the reference, with the same weights?" in page
    other = tmp_path / "other.pth"
    torch.manual_seed(1)
    torch.save({"layer.weight": torch.randn(19, 3, 3, 3), "layer.bias": torch.zeros(19)}, other)
    told = align(
        "evaluate", TINY, other, "--device", "cpu", "--work-dir", "o", "--against", "ref", "--tier", "tf32", expect=2
    )
    assert "aren't of the same weights" in told.stderr
    assert "checkpoint" in told.stderr
    without = align(*words, "--device", "cpu", "--work-dir", "same", "--against", "ref", "--tier", "bf16", expect=3)
    assert "INCONCLUSIVE" in without.stdout
    assert "0 healthy repeats" in without.stdout


def test_trained_runs_are_judged_from_files_and_numbers(align, tmp_path):
    for name, value in (("r1", 0.774), ("r2", 0.7745), ("r3", 0.7735), ("c1", 0.7741), ("c2", 0.7743)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "scores.json").write_text(json.dumps({"schema": 1, "mIoU": value, "aAcc": 0.9}))
    done = align("accuracy", "--reference", "r1", "r2", "r3", "--candidate", "c1", "77.43", "--margin", "0.5")
    assert done.stdout.startswith("PASS trained accuracy: +0.02 points (77.40 → 77.42, 3 against 2 runs)")
    alone = align("accuracy", "--reference", "77.4", "--candidate", "77.0", expect=3)
    assert "two that scatter by 0.64 points each" in alone.stdout
    align(
        "accuracy",
        "--reference",
        "77.4",
        "77.5",
        "--candidate",
        "70.0",
        "70.1",
        "--margin",
        "99%",
        "--out",
        "out",
        expect=1,
    )
    assert "FAIL" in next((tmp_path / "out").rglob("report.html")).read_text()
    assert "in percent" in align("accuracy", "--reference", "0.774", "--candidate", "77.0", expect=2).stderr
    assert (
        "no such number"
        in align("accuracy", "--reference", "r1", "--candidate", "c1", "--metric", "mDice", expect=2).stderr
    )
    assert "a file is missing" in align("accuracy", "--reference", "nowhere", "--candidate", "77.0", expect=2).stderr


def test_a_plan_says_what_a_wish_costs(align):
    done = align("plan-accuracy", "--margin", "0.5", "--spread", "0.64")
    assert "to see a candidate that is 0.5 points off: 27 runs a side" in done.stdout
    assert "two healthy runs differ by up to 1.8 points" in done.stdout
    assert "positive number" in align("plan-accuracy", "--margin", "0.5", "--spread", "0", expect=2).stderr
