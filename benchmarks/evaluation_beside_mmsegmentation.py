"""Evaluation beside mmsegmentation's own test loop: images a second, with the same model, weights and images.

    python benchmarks/evaluation_beside_mmsegmentation.py [--mode whole] [--size 512 1024] [--images 4 12] [--rounds 3]

Both read the same generated street scenes with mmsegmentation's own config of FCN on ResNet-18, and its model: theirs
by ``Runner.test``, which keeps no answers and adds counts up; ours as a process of `align evaluate` does it, which also
writes each image's answer and its counts down. Each is timed over few and over more images, in turn, so that a second
is of further images alone, and none of start or loading. Both must come to the same mIoU. Prints the ratio of times.

mmsegmentation is none of this project's requirements: `tox -e mmseg` installs it.
"""

from __future__ import annotations

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any

import torch
from foreign_configs import configs
from zoo_models import stub_compiled_operations

from harness.accuracy.scores import score_images
from harness.devices.surroundings import git_commit
from harness.evaluating.counts_stream import CountsOfRows, read_rows
from harness.evaluating.evaluation_folder import counts_files
from harness.evaluating.evaluation_order import EvaluationOrder
from harness.evaluating.evaluation_worker import _run as answer_and_count
from harness.inference.inference_settings import InferenceSettings, Mode

CONFIG = "fcn/fcn_r50-d8_4xb2-40k_cityscapes-512x1024.py"


def main() -> None:
    """Time both in turn, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--mode", choices=("whole", "slide"), default="whole")
    parser.add_argument("--size", nargs=2, type=int, default=[512, 1024], metavar=("H", "W"))
    parser.add_argument("--images", nargs=2, type=int, default=[4, 12], metavar=("FEW", "MORE"))
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    stub_compiled_operations()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    few, more = arguments.images
    height, width = arguments.size
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        config = _config(folder, more, height, width, arguments.mode)
        ratios, scores = [], {}
        for number in range(arguments.rounds):
            sides = [("theirs", _theirs), ("ours", _ours)]
            seconds: dict[str, float] = {}
            for side, run in sides if number % 2 else sides[::-1]:
                times = []
                for count in (few, more):
                    began = time.process_time()
                    scores[side] = run(config, count, folder / f"{side}-{number}-{count}")
                    times.append(time.process_time() - began)
                seconds[side] = (times[1] - times[0]) / (more - few)
            ratios.append(seconds["ours"] / seconds["theirs"])
            rates = ", ".join(f"{side} {1 / value:.3f} images/s" for side, value in sorted(seconds.items()))
            print(f"round {number + 1}: {rates}, ours / theirs {ratios[-1]:.3f}", flush=True)
    print(f"mIoU of {more} images: ours {scores['ours']:.4f}, theirs {scores['theirs']:.4f}")
    print(f"ours / theirs, time of the processor: median {statistics.median(ratios):.3f} of {len(ratios)}")
    threads = torch.get_num_threads()
    commit = git_commit(Path(__file__).parent)[:12]
    print(f"{height}×{width}, {arguments.mode}, {threads} threads, {platform.machine()}, commit {commit}")


def _config(folder: Path, images: int, height: int, width: int, mode: str) -> Path:
    """Their own config with a smaller backbone, and a checkpoint of its model beside it."""
    import mmseg.models  # noqa: F401  # registers its parts
    from mmengine.config import Config
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    from models.datasets.scene_cache import cached_scenes
    from models.datasets.scenes import SceneSet

    scenes = cached_scenes(SceneSet.of({"count": images, "height": height, "width": width, "seed": 0}), "val")
    register_all_modules(init_default_scope=True)
    config = Config.fromfile(configs() / CONFIG)
    config.merge_from_dict(
        {
            "model.backbone.depth": 18,
            "model.backbone.norm_cfg.type": "BN",
            "model.decode_head.norm_cfg.type": "BN",
            "model.auxiliary_head.norm_cfg.type": "BN",
            "model.decode_head.in_channels": 512,
            "model.auxiliary_head.in_channels": 256,
            "model.pretrained": None,
            "test_dataloader.num_workers": 0,
            "test_dataloader.persistent_workers": False,
            "test_dataloader.dataset.data_root": str(scenes),
            "val_dataloader.dataset.data_root": str(scenes),
            "test_pipeline.1.scale": (width, height),
            "test_dataloader.dataset.pipeline.1.scale": (width, height),
            "val_dataloader.dataset.pipeline.1.scale": (width, height),
        }
    )
    if mode == "slide":
        config.model.test_cfg = {"mode": "slide", "crop_size": (height, width // 2), "stride": (height, width // 3)}
    torch.manual_seed(0)
    model = MODELS.build(config.model)
    torch.save({"state_dict": model.state_dict()}, folder / "weights.pth")
    path = folder / "fcn.py"
    config.dump(path)
    return path


def _theirs(path: Path, count: int, folder: Path) -> float:
    """By their Runner, in points of mIoU."""
    from mmengine.config import Config
    from mmengine.runner import Runner

    config = Config.fromfile(path)
    config.work_dir, config.load_from = str(folder), str(path.parent / "weights.pth")
    config.test_dataloader.dataset.indices = count
    config.log_level = "ERROR"
    metrics: dict[str, Any] = Runner.from_cfg(config).test()
    return float(metrics["mIoU"])


def _ours(path: Path, count: int, folder: Path) -> float:
    """By what a process of `align evaluate` does, in this process; in points of mIoU."""
    from mmengine.config import Config

    from models.datasets.evaluation_set import evaluation_set

    folder.mkdir(parents=True)
    config = Config.fromfile(path)
    cfg = config.model.test_cfg
    settings = InferenceSettings()
    if cfg.mode == "slide":
        settings = InferenceSettings(mode=Mode.SLIDE, crop=tuple(cfg.crop_size), stride=tuple(cfg.stride))
    order = EvaluationOrder(
        config=str(path),
        checkpoint=str(path.parent / "weights.pth"),
        device="cpu",
        inference=settings,
        images=tuple(range(count)),
    )
    answer_and_count(order, folder)
    table = evaluation_set(config, "val", None).table
    rows = list(read_rows(counts_files(folder)).values())
    return 100 * float(score_images(CountsOfRows(rows, table), table).mean_iou or 0.0)


if __name__ == "__main__":
    main()
