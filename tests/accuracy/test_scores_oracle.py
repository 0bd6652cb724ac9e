"""Scores against the Cityscapes benchmark's own script, on generated scenes with instance maps."""

import importlib
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from harness.accuracy.image_counts import count_image
from harness.accuracy.scores import score_images
from models.datasets.cityscapes import CityscapesDataset
from models.datasets.labels import CITYSCAPES
from models.datasets.transforms.loading import read_instance_map, read_label_ids

pytest.importorskip(
    "cityscapesscripts", reason="the benchmark's own script is the oracle: pip install cityscapesscripts"
)


@pytest.fixture(scope="module")
def script():
    """The script, on a numpy that no longer has the function it uses."""
    with pytest.MonkeyPatch.context() as patch:
        if not hasattr(np, "in1d"):  # numpy 2.4 took it out; isin is what its notes say to use
            patch.setattr(np, "in1d", np.isin, raising=False)
        yield importlib.import_module("cityscapesscripts.evaluation.evalPixelLevelSemanticLabeling")


def answers_for(labels: np.ndarray, rng: np.random.Generator, kind: str) -> np.ndarray:
    """Answers that are right, or off by blocks, by classes, at random, or ids that no class of the model means."""
    if kind == "perfect":
        return labels.copy()
    answers = labels.copy()
    trained = CITYSCAPES.ids_of_answers
    if kind == "random":
        return rng.choice(trained, labels.shape).astype(np.uint8)
    for _ in range(12):
        y, x = rng.integers(0, labels.shape[0]), rng.integers(0, labels.shape[1])
        answers[y : y + 20, x : x + 30] = rng.choice(trained)
    if kind == "ignored":
        answers[:9] = 4  # static: an answer that the benchmark counts as a miss
    if kind == "one class":
        answers[:] = 7
    return answers


@pytest.mark.filterwarnings("ignore:`in1d` is deprecated:DeprecationWarning")  # the script's own, by NumPy 2.0 to 2.3
@pytest.mark.parametrize("kind", ["perfect", "blocks", "random", "ignored", "one class"])
def test_every_number_is_the_script_s(kind, script, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    data = CityscapesDataset(split="val", scenes={"count": 6, "height": 96, "width": 176, "seed": 3})
    rng = np.random.default_rng(5)
    counts, predictions, truths = [], [], []
    for files in data.files:
        size = cv2.imread(str(files.image)).shape[:2]
        truth = Path(str(files.labels).replace("labelTrainIds", "labelIds"))
        labels = read_label_ids(truth, size)
        answers = answers_for(labels, rng, kind)
        place = tmp_path / f"{files.image.stem}.png"
        cv2.imwrite(str(place), answers)
        predictions.append(str(place))
        truths.append(str(truth))
        instances = read_instance_map(files.instances, size)
        counts.append(count_image(files.name, answers, labels, CITYSCAPES, instances))
    ours = score_images(counts, CITYSCAPES)

    script.args.quiet = True
    script.args.JSONOutput = False
    theirs = script.evaluateImgLists(predictions, truths, script.args)
    assert json.loads(json.dumps(theirs["confMatrix"])) == ours.confusion.tolist()
    for scores, iou, instance_iou in (
        (ours.classes, theirs["classScores"], theirs["classInstScores"]),
        (ours.categories, theirs["categoryScores"], theirs["categoryInstScores"]),
    ):
        for score in scores:
            assert _text(score.iou) == _text(iou[score.name]), score.name
            assert _text(score.iiou) == _text(instance_iou[score.name]), score.name
    assert _text(ours.mean_iou) == _text(theirs["averageScoreClasses"])
    assert _text(ours.mean_iiou) == _text(theirs["averageScoreInstClasses"])
    assert _text(ours.mean_category_iou) == _text(theirs["averageScoreCategories"])
    assert _text(ours.mean_category_iiou) == _text(theirs["averageScoreInstCategories"])


def _text(value: float | None) -> str:
    """To the last digit that both can have: the script adds weighted pixels one after another."""
    return "nan" if value is None or np.isnan(value) else f"{value:.12f}"
