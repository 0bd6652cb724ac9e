"""Validation in a training: scored as `align evaluate` scores, best checkpoint kept, the training left as it is."""

import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from mmengine.config import Config

from harness.accuracy.image_counts import count_image
from harness.accuracy.scores import score_images
from harness.cli import main
from harness.inference.inference import answer_image
from harness.inference.inference_settings import InferenceSettings
from harness.running import watchdog
from harness.running.folder import VALIDATING
from harness.running.validation import ValidationScores, add_validation, read_validations
from harness.running.watchdog import Timeouts
from harness.values.errors import DataError
from models import build_model
from models.datasets import CityscapesDataset
from models.datasets.evaluation_set import as_evaluation_set
from models.datasets.transforms.loading import read_image

CONFIG = """
default_scope = "models"
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[128.0] * 3, std=[64.0] * 3),
    backbone=dict(type="ResNet", depth=18, stem_channels=4, base_channels=2),
    decode_head=dict(
        type="FCNHead", in_channels=16, in_index=3, channels=4, num_convs=1, concat_input=False, dropout_ratio=0.0
    ),
)
train_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type="TicketSampler", shuffle=True),
    dataset=dict(
        type="CityscapesDataset",
        scenes=dict(count=3, height=64, width=96, seed=0),
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")],
    ),
)
optim_wrapper = dict(type="OptimWrapper", optimizer=dict(type="SGD", lr=0.1, momentum=0.9))
train_cfg = dict(type="IterBasedTrainLoop", max_iters=4)
default_hooks = dict(checkpoint=dict(type="CheckpointHook", by_epoch=False, interval=2))
"""


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    return as_evaluation_set(CityscapesDataset(split="val", scenes={"count": 2, "height": 32, "width": 32, "seed": 0}))


def rows(folder):
    """What was recorded, without what a clock and the host's memory say."""
    lines = [json.loads(line) for line in (folder / "trace.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "signals" in line]
    return [{k: v for k, v in line["signals"].items() if k not in ("seconds", "memory")} for line in lines]


@pytest.mark.slow
def test_a_training_that_validates(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.py").write_text(CONFIG)

    def train(folder, *words):
        code = main(["train", "--config", "tiny.py", "--device", "cpu", "--work-dir", folder, *words])
        assert code == 0
        return capsys.readouterr().out

    told = train("one", "--val-interval", "2")
    validations = read_validations(tmp_path / "one")
    assert [one.iteration for one in validations] == [2, 4]
    best = max(validations, key=lambda one: one.mean_iou)
    (kept,) = (tmp_path / "one").glob("best_mIoU_iter_*.pth")
    assert kept.name == f"best_mIoU_iter_{best.iteration}.pth"
    assert f"iteration 4: mIoU {validations[1].mean_iou:.2f}" in told
    assert f"best: one/{kept.name}" in told

    assert main(["evaluate", "tiny.py", str(kept), "--device", "cpu", "--work-dir", "scored"]) == 0
    scores = json.loads((tmp_path / "scored" / "scores.json").read_text())
    assert scores["mIoU"] * 100 == best.mean_iou
    capsys.readouterr()

    train("plain")
    assert rows(tmp_path / "one") == rows(tmp_path / "plain")
    assert len(rows(tmp_path / "plain")) == 4
    assert not (tmp_path / "plain" / "validations.jsonl").exists()

    train("one", "--val-interval", "2", "--resume", str(tmp_path / "one" / "iter_2.pth"))
    again = read_validations(tmp_path / "one")
    assert [(one.iteration, one.mean_iou) for one in again] == [(one.iteration, one.mean_iou) for one in validations]
    assert [path.name for path in (tmp_path / "one").glob("best_mIoU_iter_*.pth")] == [kept.name]


def test_an_image_that_a_sampler_repeats_counts_once(data):
    metric = ValidationScores()
    labels = np.array([[7, 7], [8, 8]])
    one = count_image("a", np.array([[7, 8], [8, 8]]), labels, data.table)
    other = count_image("b", np.array([[7, 7], [8, 7]]), labels, data.table)
    metric.process(None, [{"counts": image, "data": data} for image in (one, other, one)])
    scores = metric.compute_metrics(metric.results)
    assert scores["aAcc"] == pytest.approx(100 * 6 / 8)
    assert scores["mIoU"] == pytest.approx(100 * (3 / 5 + 3 / 5) / 2)


def test_a_set_without_a_class_is_no_score(data):
    metric = ValidationScores()
    metric.process(None, [{"counts": count_image("a", np.array([[7]]), np.array([[0]]), data.table), "data": data}])
    with pytest.raises(DataError, match="no pixel of the validation set has a class"):
        metric.compute_metrics(metric.results)


def test_what_a_config_does_not_say_is_filled_in_and_what_it_says_stays():
    dataset = {"type": "CityscapesDataset", "data_root": "/data", "split": "train+val", "pipeline": [1]}
    config = Config({"train_dataloader": {"dataset": dataset}, "train_cfg": {"max_iters": 9}})
    add_validation(config, 0)
    assert "val_dataloader" not in config
    add_validation(config, 3)
    assert config.train_cfg == {"max_iters": 9, "val_interval": 3}
    filled = config.val_dataloader.dataset
    assert (filled.split, filled.data_root, filled.pipeline) == ("val", "/data", [])
    assert config.default_hooks.checkpoint.save_best == "mIoU"
    own = Config({"val_cfg": {"type": "ValLoop"}, "val_dataloader": 1, "train_cfg": {}, "train_dataloader": {}})
    add_validation(own, 3)
    assert (own.val_cfg.type, own.val_dataloader, "val_evaluator" in own) == ("ValLoop", 1, False)


@pytest.mark.parametrize("words", [(), ("--val-interval", "2")])
def test_a_loop_of_ones_own_is_not_trained_for_it(tmp_path, capsys, words):
    own = tmp_path / "own.py"
    own.write_text(
        "import harness\n\n\n@harness.case(iterations=3)\ndef mine(device):\n    raise NotImplementedError\n"
    )
    assert main(["train", "--config", f"{own}:mine", "--device", "cpu", *words]) == 2
    told = capsys.readouterr().err
    assert "a loop of your own trains and validates by itself" in told
    assert f"align record {own}:mine" in told


@pytest.mark.parametrize("touched", [True, False])
def test_a_run_that_validates_for_longer_than_a_stall_lives(tmp_path, monkeypatch, touched):
    """A clock that jumps 100 s with each look, and a stall of 150 s."""
    looks = []

    class Child:
        def poll(self):
            looks.append(1)
            if touched:
                path = tmp_path / VALIDATING
                path.touch()
                watchdog.os.utime(path, (len(looks), len(looks)))
            return 0 if len(looks) > 9 else None

    monkeypatch.setattr(watchdog.time, "monotonic", lambda: 100.0 * len(looks))
    monkeypatch.setattr(watchdog.time, "sleep", lambda _: None)
    timeouts = Timeouts(start=150.0, stall=150.0)
    ending = watchdog._watch(Child(), tmp_path, timeouts, None, None, watchdog.Slot(), follows=True)
    assert bool(ending.hung) is not touched


PROGRAM = """
import sys

from mmengine.config import Config
from mmengine.runner import Runner

from harness.devices.mmengine_adapter import join_process_group, teach_mmengine
from harness.running.validation import add_validation

config = Config.fromfile("tiny.py")
config.update(work_dir="work", launcher=sys.argv[1], load_from="weights.pth")
if sys.argv[1] != "none":
    teach_mmengine("cpu")
    join_process_group("cpu")
    config.model_wrapper_cfg = dict(type="MMDistributedDataParallel", broadcast_buffers=False, device_ids=None)
add_validation(config, 1)
config.default_hooks.checkpoint = None
config.val_dataloader.batch_size = int(sys.argv[2])
for name in ("train_dataloader", "train_cfg", "optim_wrapper"):
    config[name] = None
runner = Runner.from_cfg(config)
scores = runner.val()
if runner.rank == 0:
    print("scores", *(repr(scores[name]) for name in ("mIoU", "mAcc", "aAcc")))
"""


@pytest.mark.slow
def test_batches_and_processes_change_nothing(tmp_path, monkeypatch):
    """Three images in batches of four, and over two processes by torchrun, whose sampler repeats one of them."""
    monkeypatch.setenv("ALIGN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    (tmp_path / "tiny.py").write_text(CONFIG)
    (tmp_path / "validate.py").write_text(PROGRAM)
    torch.manual_seed(0)
    model = build_model(Config.fromfile(tmp_path / "tiny.py"))
    torch.save(model.state_dict(), tmp_path / "weights.pth")

    model.eval()
    data = as_evaluation_set(CityscapesDataset(split="val", scenes={"count": 3, "height": 64, "width": 96, "seed": 0}))
    counts = []
    for files in data.files:
        answer = answer_image(model, read_image(files.image), InferenceSettings(), torch.device("cpu"), 19)
        ids = data.table.ids_of_answers[answer.classes]
        counts.append(count_image(files.name, ids, data.read_labels(files, (64, 96)), data.table))
    scores = score_images(counts, data.table)
    expected = [100 * value for value in (scores.mean_iou, scores.mean_accuracy, scores.pixel_accuracy)]

    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    for words in ([sys.executable, "validate.py", "none", "4"], [*torchrun, "validate.py", "pytorch", "1"]):
        done = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=True)
        (line,) = [line for line in done.stdout.splitlines() if line.startswith("scores ")]
        assert list(map(float, line.split()[1:])) == expected
