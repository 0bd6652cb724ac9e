"""Weights from files: OpenMMLab's checkpoints and safetensors, without running what is in them."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from harness.values.errors import ModelError

__all__ = ["load_backbone", "load_checkpoint", "read_weights"]

_CLASSIFIERS: Final = ("fc.", "head.", "classifier.", "incre_modules.", "downsamp_modules.", "final_layer.")
"""What an image classifier has after its backbone: torchvision's, OpenMMLab's and HRNet's names."""


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """The tensors of a checkpoint, on the CPU, by name.

    Args:
        path: a `.safetensors` file, or a `.pth` file that is a state dict or holds one under `state_dict`, as
            OpenMMLab's and torchvision's are. Nothing but tensors and plain values is unpickled.

    Raises:
        ModelError: the file is missing, isn't a checkpoint, or holds more than tensors and plain values.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelError("no such checkpoint", where=path, hint="give the path of a local file")
    try:
        if path.suffix == ".safetensors":
            return dict(load_file(path))
        content: Any = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise ModelError(
            "the checkpoint can't be read as weights alone",
            where=path,
            observed=str(error).partition("\n")[0],
            allowed="a .safetensors file, or a .pth file of tensors and plain values",
            hint="where you trust it: torch.save(torch.load(PATH, weights_only=False)['state_dict'], NEW_PATH)",
        ) from error
    weights = content.get("state_dict", content) if isinstance(content, Mapping) else None
    if not isinstance(weights, Mapping) or not all(isinstance(value, Tensor) for value in weights.values()):
        raise ModelError("the file holds no state dict", where=path, observed=type(content).__name__, allowed="tensors")
    return {str(name).removeprefix("module."): value for name, value in weights.items()}


def load_checkpoint(model: nn.Module, path: str | Path) -> None:
    """Load a whole model's weights; every name and shape must match.

    Raises:
        ModelError: the file can't be read, or its weights aren't this model's.
    """
    _load(model, read_weights(path), path)


def load_backbone(backbone: nn.Module, path: str | Path) -> None:
    """Load a backbone's weights from a classifier's, a segmentor's or its own checkpoint.

    The names may begin with `backbone.`; a classifier's head is left out.

    Raises:
        ModelError: the file can't be read, or its weights aren't this backbone's.
    """
    weights = read_weights(path)
    if any(name.startswith("backbone.") for name in weights):
        weights = {name.removeprefix("backbone."): w for name, w in weights.items() if name.startswith("backbone.")}
    _load(backbone, {name: w for name, w in weights.items() if not name.startswith(_CLASSIFIERS)}, path)


def _load(module: nn.Module, weights: Mapping[str, Tensor], path: str | Path) -> None:
    """Load weights whose names and shapes are all of the module's and none else; counters of batches may be missing."""
    wanted = module.state_dict()
    missing = sorted(n for n in wanted.keys() - weights.keys() if not n.endswith("num_batches_tracked"))
    unknown = sorted(weights.keys() - wanted.keys())
    unequal = [
        f"{name}: {tuple(weights[name].shape)} instead of {tuple(wanted[name].shape)}"
        for name in sorted(wanted.keys() & weights.keys())
        if weights[name].shape != wanted[name].shape
    ]
    complaints = [
        f"{len(names)} {label} ({', '.join(names[:3])}{', …' if len(names) > 3 else ''})"
        for label, names in (("missing", missing), ("unknown", unknown), ("of another shape", unequal))
        if names
    ]
    if complaints:
        raise ModelError(
            "the checkpoint's weights aren't this model's",
            where=path,
            observed="; ".join(complaints),
            allowed=f"exactly the {len(wanted)} tensors of {type(module).__name__}",
        )
    module.load_state_dict(dict(weights), strict=False)
