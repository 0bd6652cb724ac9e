"""Models and attention blocks beside mmsegmentation's own: time and peak memory, pair by pair in one run.

    pip install mmsegmentation==1.2.2 ftfy regex
    python benchmarks/models_beside_mmsegmentation.py [MODEL …] [--size 128 128] [--pairs 7]
    python benchmarks/models_beside_mmsegmentation.py --blocks [MODEL …] [--size 97 97] [--pairs 7]

A model's time is that of a training iteration; a block's, of a forward and a backward pass on a map of 512 channels.

With mmcv-lite, which lacks compiled operations, mmcv's Python ones are imported over a stub that raises when called.
Both sides start from the same weights: ours load into theirs with strict=True.
"""

from __future__ import annotations

import argparse
import importlib.util
import statistics
import sys
import time
import types
from collections.abc import Callable
from pathlib import Path

import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.profiler import ProfilerActivity, profile

from models import build_model, draw_start_weights

CONFIGS = {
    "ann": "ann_r50-d8_4xb2-40k_cityscapes-512x1024",
    "ccnet": "ccnet_r50-d8_4xb2-40k_cityscapes-512x1024",
    "emanet": "emanet_r50-d8_4xb2-80k_cityscapes-512x1024",
    "ocrnet": "ocrnet_hr18_4xb2-40k_cityscapes-512x1024",
}


BLOCKS = {
    "ann": ("decode_head.context", 1),
    "ccnet": ("decode_head.cca", 2),
    "emanet": ("decode_head.ema_module", 1),
}
"""Model → the attention block that both sides call by the same name, and how often it is passed."""


def main() -> None:
    """Measure the models asked for and print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("models", nargs="*", help=f"of {', '.join(CONFIGS)}; none: all")
    parser.add_argument("--size", nargs=2, type=int, metavar=("H", "W"))
    parser.add_argument("--blocks", action="store_true", help=f"attention blocks of {', '.join(BLOCKS)}, at 97×97")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print("model    time, ours / theirs (lowest … highest)   peak MB, ours / theirs")
    size = tuple(arguments.size or ((97, 97) if arguments.blocks else (128, 128)))
    for name in arguments.models or (BLOCKS if arguments.blocks else CONFIGS):
        passes = _block_passes(name, size) if arguments.blocks else _passes(name, size)
        peaks = [_peak(run) / 1e6 for run in passes]
        ratios = []
        for _ in range(arguments.pairs):
            ours, theirs = (_seconds(run) for run in passes)
            ratios.append(ours / theirs)
        print(
            f"{name:8} {statistics.median(ratios):.3f} ({min(ratios):.3f} … {max(ratios):.3f})"
            f"   {peaks[0]:.0f} / {peaks[1]:.0f} = {peaks[0] / peaks[1]:.3f}",
            flush=True,
        )


def _passes(name: str, size: tuple[int, int]) -> list[Callable[[], None]]:
    """A training iteration of each side: losses, gradients, SGD."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *size, generator=generator)
    labels = torch.randint(0, 19, (2, *size), generator=generator)
    ours = build_model(CONFIGS[name])
    draw_start_weights(ours, 0)
    theirs = _theirs(name)
    theirs.load_state_dict(ours.state_dict())
    samples = _samples(labels)
    return [
        _iteration(ours, lambda: ours.losses(images, labels)),  # type: ignore[operator]  # ours has it
        _iteration(theirs, lambda: theirs.loss(images, samples)),  # type: ignore[operator]  # theirs has it
    ]


def _block_passes(name: str, size: tuple[int, int]) -> list[Callable[[], None]]:
    """A forward and a backward pass of each side's attention block, with the same weights."""
    path, recurrence = BLOCKS[name]
    ours, theirs = (model.get_submodule(path).train() for model in (build_model(CONFIGS[name]), _theirs(name)))
    theirs.load_state_dict(ours.state_dict())
    x = torch.randn(1, 512, *size, generator=torch.Generator().manual_seed(0))
    return [_block_pass(block, x, recurrence) for block in (ours, theirs)]


def _block_pass(block: nn.Module, x: Tensor, recurrence: int) -> Callable[[], None]:
    def run() -> None:
        block.zero_grad()
        out = x.detach().requires_grad_()
        for _ in range(recurrence):
            out = block(out)
        if out.requires_grad:  # what EMA rebuilds from its bases has no gradient
            out.sum().backward()

    return run


def _theirs(name: str) -> nn.Module:
    if importlib.util.find_spec("mmseg") is None:
        sys.exit("mmsegmentation isn't installed: pip install mmsegmentation==1.2.2 ftfy regex")
    sys.modules.setdefault("mmcv._ext", _Uncompiled("mmcv._ext"))
    import mmseg
    from mmseg.registry import MODELS
    from mmseg.utils import register_all_modules

    register_all_modules(init_default_scope=True)
    path = Path(mmseg.__file__).parent / ".mim" / "configs" / name / f"{CONFIGS[name]}.py"
    settings = Config.fromfile(path).model
    settings.pretrained = None
    return MODELS.build(_with_plain_norm(settings.to_dict()))  # type: ignore[no-any-return]


class _Uncompiled(types.ModuleType):
    """Stands for mmcv's compiled operations; none of the four models needs one."""

    def __getattr__(self, name: str) -> Callable[..., None]:
        if name.startswith("__"):
            raise AttributeError(name)

        def missing(*_: object, **__: object) -> None:
            raise NotImplementedError(name)

        return missing


def _with_plain_norm(settings: object) -> object:
    if isinstance(settings, dict):
        return {key: "BN" if value == "SyncBN" else _with_plain_norm(value) for key, value in settings.items()}
    if isinstance(settings, (list, tuple)):
        return type(settings)(map(_with_plain_norm, settings))
    return settings


def _samples(labels: Tensor) -> list[object]:
    from mmengine.structures import PixelData
    from mmseg.structures import SegDataSample

    samples = [SegDataSample(gt_sem_seg=PixelData(data=label[None])) for label in labels]
    for sample in samples:
        sample.set_metainfo({"img_shape": tuple(labels.shape[1:])})
    return samples


def _iteration(model: nn.Module, losses: Callable[[], dict[str, Tensor]]) -> Callable[[], None]:
    optimizer = torch.optim.SGD(model.train().parameters(), lr=1e-4, momentum=0.9, weight_decay=5e-4)

    def run() -> None:
        optimizer.zero_grad()
        sum(value for name, value in losses().items() if "loss" in name).backward()  # type: ignore[union-attr]
        optimizer.step()

    return run


def _seconds(run: Callable[[], None]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def _peak(run: Callable[[], None]) -> int:
    """The most bytes allocated at a time in an iteration, over what lives between iterations."""
    run()
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiler:
        run()
    events = profiler.profiler.kineto_results.events()
    live = peak = 0
    for _, change in sorted((event.start_ns(), event.nbytes()) for event in events if event.name() == "[memory]"):
        live += change
        peak = max(peak, live)
    return peak


if __name__ == "__main__":
    main()
