"""OpenMMLab's own configs as cases: made small by options alone, recorded, judged healthy and faulty.

    python benchmarks/foreign_configs.py                       # the table of docs/foreign.md
    python benchmarks/foreign_configs.py --only ann fcn
    python benchmarks/foreign_configs.py --classify            # all configs of the wheel: loads, runs or is refused

Each config is what lies in the wheel of mmsegmentation 1.2.2, and one each in mmdetection's and mmpretrain's; what is
laid over it are `--cfg-options`: the data are generated street scenes in Cityscapes' layout (with boxes as COCO has
them, and with classes as a list of ImageNet has them), two a batch (BiSeNetV2: four), crops are 64 x 64 (DDRNet's
128 x 128), backbones the smallest of their kind, and nothing is downloaded. A stand-in takes the place of mmcv's
compiled operations, which mmcv-lite lacks: a model that calls one ends in an error. All runs of a table are made in one
process, five of the host's as a baseline (fp32), then the emulated device's, healthy and with a convolution's weight
gradient 1 % too large.

The libraries are none of this project's requirements: `tox -e mmseg` installs them.
"""

from __future__ import annotations

import argparse
import importlib.util
import logging
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from foreign_labels import BOXES, CLASSES, label_scenes

from harness.devices.choice import choose_device
from harness.devices.device_opening import open_device
from harness.devices.surroundings import git_commit, versions
from harness.values.errors import AlignmentError, CaseError

FAULT = "conv-wgrad-x1.01"
ITERATIONS = 1
REPEATS = 5

_RESNET = {"model.backbone.depth": 18}
_HEAD = {"model.decode_head.in_channels": 512, "model.decode_head.channels": 32}
_AUXILIARY = {"model.auxiliary_head.in_channels": 256, "model.auxiliary_head.channels": 16}
_PLAIN = {**_RESNET, **_HEAD, **_AUXILIARY, "model.pretrained": None}


@dataclass(frozen=True)
class Architecture:
    """A config of the wheel, and what makes it small.

    Args:
        config: its path under the library's ``.mim/configs``, without the ending.
        options: laid over it, by name.
        crop: edge of the square that a sample is, in pixels.
        library: whose wheel it lies in.
    """

    config: str
    options: dict[str, Any]
    crop: int = 64
    library: str = "mmseg"


def _plain(config: str, **options: Any) -> Architecture:
    return Architecture(config, {**_PLAIN, **{name.replace("__", "."): value for name, value in options.items()}})


_CITY = "cityscapes-512x1024"
_ADE = {
    "train_dataloader.dataset.type": "CityscapesDataset",
    "train_dataloader.dataset.reduce_zero_label": True,
    "train_dataloader.dataset.data_prefix.img_path": "leftImg8bit/train",
    "train_dataloader.dataset.data_prefix.seg_map_path": "gtFine/train",
}
"""ADE20K's recipes on the generated scenes."""

_COCO = {"train_dataloader.dataset.ann_file": BOXES, "train_dataloader.dataset.data_prefix.img": ""}
"""The drawn boxes in place of COCO's."""

_PYRAMID = {**_RESNET, "model.backbone.init_cfg": None, "model.neck.in_channels": [64, 128, 256, 512]}

ARCHITECTURES = {
    "ann": _plain(f"ann/ann_r50-d8_4xb2-40k_{_CITY}", model__decode_head__in_channels=[256, 512]),
    "ccnet": _plain(f"ccnet/ccnet_r50-d8_4xb2-40k_{_CITY}"),
    "emanet": _plain(f"emanet/emanet_r50-d8_4xb2-80k_{_CITY}", model__decode_head__ema_channels=32),
    "ocrnet": Architecture(f"ocrnet/ocrnet_hr18s_4xb2-40k_{_CITY}", {"model.pretrained": None}),
    "fcn": _plain(f"fcn/fcn_r50-d8_4xb2-40k_{_CITY}"),
    "pspnet": _plain(f"pspnet/pspnet_r50-d8_4xb2-40k_{_CITY}"),
    "encnet": _plain(f"encnet/encnet_r50-d8_4xb2-40k_{_CITY}", model__decode_head__in_channels=[128, 256, 512]),
    "deeplabv3+": _plain(
        f"deeplabv3plus/deeplabv3plus_r50-d8_4xb2-40k_{_CITY}",
        model__decode_head__c1_in_channels=64,
        model__decode_head__c1_channels=16,
    ),
    "upernet": _plain(f"upernet/upernet_r50_4xb2-40k_{_CITY}", model__decode_head__in_channels=[64, 128, 256, 512]),
    "bisenetv1": Architecture(
        "bisenetv1/bisenetv1_r18-d32_4xb4-160k_cityscapes-1024x1024", {"model.backbone.backbone_cfg.init_cfg": None}
    ),
    # A batch norm over one pixel an image: of two images it takes the sign of a difference that rounding decides.
    "bisenetv2": Architecture(
        "bisenetv2/bisenetv2_fcn_4xb4-160k_cityscapes-1024x1024", {"train_dataloader.batch_size": 4}
    ),
    "segformer": Architecture(
        "segformer/segformer_mit-b0_8xb1-160k_cityscapes-1024x1024", {"model.backbone.init_cfg": None}
    ),
    "swin-upernet": Architecture(
        "swin/swin-tiny-patch4-window7-in1k-pre_upernet_8xb2-160k_ade20k-512x512",
        {
            **_ADE,
            "model.backbone.init_cfg": None,
            "model.backbone.embed_dims": 24,
            "model.backbone.depths": [2, 2, 2, 2],
            "model.decode_head.in_channels": [24, 48, 96, 192],
            "model.decode_head.channels": 32,
            "model.auxiliary_head.in_channels": 96,
            "model.auxiliary_head.channels": 16,
        },
    ),
    "knet": Architecture(
        "knet/knet-s3_r50-d8_fcn_8xb2-adamw-80k_ade20k-512x512",
        {
            **_ADE,
            **_RESNET,
            "model.pretrained": None,
            "model.decode_head.kernel_generate_head.in_channels": 512,
            "model.auxiliary_head.in_channels": 256,
        },
    ),
    "pointrend": Architecture(
        "point_rend/pointrend_r50_4xb2-80k_cityscapes-512x1024",
        {
            **_RESNET,
            "model.pretrained": None,
            "model.neck.in_channels": [64, 128, 256, 512],
        },
    ),
    "ddrnet": Architecture(
        "ddrnet/ddrnet_23-slim_in1k-pre_2xb6-120k_cityscapes-1024x1024",
        {"model.backbone.init_cfg": None},
        crop=128,  # at 64 its last stages have one pixel, and batch norms over two values part healthy runs at once
    ),
    "mask2former": Architecture(
        "mask2former/mask2former_r50_8xb2-90k_cityscapes-512x1024",
        {
            **_RESNET,
            "model.backbone.init_cfg": None,
            "model.decode_head.in_channels": [64, 128, 256, 512],
            "model.decode_head.num_queries": 10,
            "model.decode_head.train_cfg.num_points": 128,
            "train_dataloader.dataset.pipeline.2.scales": [128, 160],
        },
    ),
    "retinanet": Architecture(
        "retinanet/retinanet_r18_fpn_1x_coco", {**_COCO, "model.backbone.init_cfg": None}, library="mmdet"
    ),
    "fcos": Architecture("fcos/fcos_r50-caffe_fpn_gn-head_1x_coco", {**_COCO, **_PYRAMID}, library="mmdet"),
    "atss": Architecture("atss/atss_r50_fpn_1x_coco", {**_COCO, **_PYRAMID}, library="mmdet"),
    "resnet": Architecture(
        "resnet/resnet18_8xb32_in1k",
        {"train_dataloader.dataset.ann_file": CLASSES, "train_dataloader.dataset.split": ""},
        library="mmpretrain",
    ),
}
"""Name → what its library calls so."""


@dataclass(frozen=True)
class Row:
    """What came of an architecture.

    Args:
        name: of it.
        healthy: the verdict on the healthy emulated device.
        faulty: that on the faulty one.
        says: the faulty one's reason, or the error.
        sees: the smallest deviation of the loss that would have been called at the first iteration.
        seconds: of all its runs.
    """

    name: str
    healthy: str
    faulty: str
    says: str
    sees: str
    seconds: float


def configs(library: str = "mmseg") -> Path:
    """The folder of configs in a library's wheel.

    Raises:
        CaseError: it isn't installed.
    """
    found = importlib.util.find_spec(library)
    if found is None or found.origin is None:
        raise CaseError(f"{library} isn't installed", hint="tox -e mmseg")
    return Path(found.origin).parent / ".mim" / "configs"


def options_of(architecture: Architecture, scenes: Path) -> tuple[str, ...]:
    """The ``--cfg-options`` that make a config small."""
    size = (architecture.crop, architecture.crop)
    common = {
        "train_dataloader.batch_size": 2,
        "train_dataloader.num_workers": 0,
        "train_dataloader.persistent_workers": False,
        "train_dataloader.dataset.data_root": str(scenes),
        "alignment.start.last_norm": 0.25,
    }
    if architecture.library == "mmseg":
        common["model.data_preprocessor.size"] = size
    return tuple(f"{name}={_spelt(value)}" for name, value in {**common, **architecture.options}.items())


def _spelt(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        inner = ",".join(map(_spelt, value))
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    return str(value)


def _small_pipeline(config: Path, options: tuple[str, ...], crop: int) -> tuple[str, ...]:
    """Crops and resizes of whatever pipeline the config has."""
    from harness.running.cases import load_config

    pipeline = load_config(config, options).train_dataloader.dataset.pipeline
    found = []
    for number, step in enumerate(pipeline):
        name = f"train_dataloader.dataset.pipeline.{number}"
        if step.type == "RandomCrop":
            found.append(f"{name}.crop_size=({crop},{crop})")
        elif step.type == "RandomResizedCrop":
            found.append(f"{name}.scale={crop}")
        elif step.type in {"RandomResize", "Resize"}:
            found.append(f"{name}.scale=(256,128)")
    return tuple(found)


def measure(name: str, device: Any, scenes: Path, folder: Path) -> Row:
    """Record an architecture, and judge the emulated device with and without the fault."""
    from harness.lab.emulation.installation import installed_device
    from harness.lab.faults import parse_fault
    from harness.running.baseline_recording import record_runs
    from harness.running.cases import find_case
    from harness.running.folder import ORDER, OUTPUT
    from harness.running.order import Order
    from harness.running.verification import judge_run
    from harness.store.baselines import save_baseline
    from harness.values.provenance import Device

    started = time.monotonic()
    architecture = ARCHITECTURES[name]
    path = configs(architecture.library) / f"{architecture.config}.py"
    options = options_of(architecture, scenes)
    options += _small_pipeline(path, options, architecture.crop)
    case = replace(find_case(str(path), options), iterations=ITERATIONS, repeats=REPEATS, fp64_iterations=0)
    order = Order(config=str(path), device="cpu", options=options, iterations=ITERATIONS, trusted=True)
    emulated = installed_device()
    if emulated is None:
        raise CaseError("the emulated device isn't installed in this process")

    def run(order: Order, on: Device, name: str) -> Path:
        place = folder / name
        place.mkdir(parents=True)
        order.write(place / ORDER)
        (place / OUTPUT).touch()
        _train(order, case, on, place)
        return place

    runs = []
    for number in range(REPEATS):
        noisy = replace(order, noise_tier="fp32" if number else "", noise_seed=number)
        runs.append(run(noisy, Device("cpu", "the host"), f"cpu-{number}"))
    save_baseline(folder / "baselines", record_runs(runs, name="", reference="cpu", reason=""))
    results = []
    for label, faults in (("healthy", ()), ("faulty", (parse_fault(FAULT),))):
        emulated.use(emulated.profile, faults)
        shadowed = replace(order, device="emulated", shadow=(0,), shadow_tier="fp32", trusted=False)
        fault = ", ".join(one.name for one in faults)
        place = run(shadowed, replace(device, fault=fault), label)
        results.append(judge_run(place, baselines=folder / "baselines"))
    emulated.use(emulated.profile, ())
    healthy, faulty = (result.verdict for result in results)
    said = faulty.reason if healthy.status.value == "PASS" else healthy.reason
    sees = healthy.reason.rpartition("; ")[2] if healthy.status.value == "PASS" else ""
    return Row(name, healthy.status.value, faulty.status.value, said, sees, time.monotonic() - started)


def _train(order: Any, case: Any, device: Any, folder: Path) -> None:
    """One run in this process."""
    from mmengine.config import Config

    from harness.running.cases import load_config
    from harness.running.experiment import run_experiment

    config: Config = load_config(case.config, order.options, import_modules=True)
    config.experiment_name = f"{folder.parent.name}-{folder.name}"
    run_experiment(order, case, config, device, (), folder)


def classify() -> None:
    """Load every config of the wheel, and say what can be said of it without its data."""
    from harness.running.cases import find_case, load_config

    told: Counter[str] = Counter()
    features: Counter[str] = Counter()
    root = configs()
    paths = sorted(path for path in root.rglob("*.py") if "_base_" not in path.parts)
    for path in paths:
        try:
            find_case(str(path))
            config = load_config(path, import_modules=True)
            told[_kind(config)] += 1
            features.update(_features(config))
        except AlignmentError as error:
            told[f"refused: {error.what}: {str(error.observed)[:90]}"] += 1
    print(f"{len(paths)} configs")
    for kind, count in told.most_common():
        print(f"{count:5d}  {kind}")
    print("\nof those that load:")
    for feature, count in features.most_common():
        print(f"{count:5d}  {feature}")


def _kind(config: Any) -> str:
    from mmengine.registry import DATASETS, MODELS, init_default_scope

    scope = config.get("default_scope") or "mmengine"
    init_default_scope(scope)
    try:
        with MODELS.switch_scope_and_registry(scope) as parts:
            missing = [name for name in sorted(_types(config.model)) if parts.get(name) is None]
        dataset = config.train_dataloader.dataset
        with DATASETS.switch_scope_and_registry(scope) as sets:
            missing += [] if sets.get(dataset.type) is not None else [dataset.type]
    except ImportError as failure:
        return f"refused: a package is missing: {failure.name}"
    missing = [name for name in missing if not _of_torch(name)]
    if "PSAHead" in _types(config.model) or "'dcn'" in str(config.model.to_dict()):
        return "loads, and calls a compiled operation of mmcv's: it needs the full mmcv"
    return f"refused: nothing registers {', '.join(missing)}" if missing else "loads, and every part is registered"


def _types(model: Any) -> set[str]:
    """Types of a model's parts that MODELS builds: those of its heads, necks, backbones and losses."""
    found = set()
    if isinstance(model, dict):
        for name, value in model.items():
            part = name.endswith(("backbone", "neck", "head", "loss_decode", "data_preprocessor"))
            for inner in value if isinstance(value, list) else [value]:
                if part and isinstance(inner, dict) and "type" in inner:
                    found |= {inner["type"]} | _types(inner)
        if isinstance(model.get("type"), str):
            found.add(model["type"])
    return found


def _of_torch(name: str) -> bool:
    import torch

    return hasattr(torch.nn, name)


def _features(config: Any) -> list[str]:
    text = str(config.to_dict())
    wrapper = config.optim_wrapper
    found = {
        "pretrained weights are kept": "'Pretrained'" in text or bool(config.model.get("pretrained")),
        "parameter groups of their own (paramwise_cfg)": bool(wrapper.get("paramwise_cfg")),
        "gradients are clipped": bool(wrapper.get("clip_grad")),
        "automatic mixed precision": wrapper.get("type") == "AmpOptimWrapper",
        "stochastic depth": "drop_path_rate" in text,
        "custom hooks": bool(config.get("custom_hooks")),
        "a constructor of the optimizer": bool(wrapper.get("constructor")),
        "gradients are accumulated": (wrapper.get("accumulative_counts") or 1) > 1,
    }
    return [name for name, there in found.items() if there]


def main() -> None:
    """Measure or classify, and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=sorted(ARCHITECTURES), default=sorted(ARCHITECTURES))
    parser.add_argument("--classify", action="store_true", help="load all configs of the wheel")
    arguments = parser.parse_args()
    from zoo_models import stub_compiled_operations

    stub_compiled_operations()
    warnings.filterwarnings("ignore")
    logging.disable(logging.WARNING)
    if arguments.classify:
        classify()
        return
    device = open_device(choose_device("emulated"), "fp32")  # before anything of torch has run
    from models.datasets.scene_cache import cached_scenes
    from models.datasets.scenes import SceneSet

    scenes = cached_scenes(SceneSet.of({"count": 8, "height": 128, "width": 256, "seed": 0}), "train")
    label_scenes(scenes)
    print(f"torch {versions()['torch']}, commit {git_commit(Path(__file__).parent) or 'none'}")
    print("| architecture | healthy | 1 % fault | sees | seconds | what the fault's verdict says |")
    print("|---|---|---|---|---|---|")
    for name in arguments.only:
        with tempfile.TemporaryDirectory() as folder:
            try:
                row = measure(name, device, scenes, Path(folder) / name)
            except (
                AlignmentError,
                AssertionError,
                RuntimeError,
                ValueError,
                KeyError,
                TypeError,
                AttributeError,
            ) as failure:
                traceback.print_exc()
                row = Row(name, "—", "—", f"{type(failure).__name__}: {str(failure)[:160]}", "", 0.0)
        cells = (row.name, row.healthy, row.faulty, row.sees, f"{row.seconds:.0f}", row.says.partition(";")[0])
        print(f"| {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    main()
