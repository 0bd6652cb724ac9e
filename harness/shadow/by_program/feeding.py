"""What reaches the model, beside what the loader gave, preprocessed on the host."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.host import map_tensors, tensors_of
from harness.shadow.arithmetic.measure import Distance, measure, measure_bits
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.training.unseen_code import StaysBehind

__all__ = ["InputsWatched"]


class InputsWatched:
    """Keeps what the model is called with, and compares it with the batch that the loader gave.

    Args:
        model: the bare model.
        batch: the loader's batch, on the host.
        iteration: number of the step.
    """

    def __init__(self, model: torch.nn.Module, batch: Any, iteration: int) -> None:
        self._iteration = iteration
        self._batch = copy.deepcopy(batch)
        self._preprocessor = _host_twin(getattr(model, "data_preprocessor", None))
        self._seen: Any = None
        self._handle = model.register_forward_pre_hook(StaysBehind(self._keep), with_kwargs=True)

    def check(self) -> Iterator[ShadowCheck]:
        """After the forward: every tensor that the model was given, beside the host's."""
        self._handle.remove()
        if self._preprocessor is None or self._seen is None:
            return
        expected = type(self._preprocessor).forward(self._preprocessor, self._batch, True)
        for name, mine, theirs in _pairs(self._seen, expected):
            if mine is None or theirs is None or mine.shape != theirs.shape:
                distance = Distance(float("inf"), 0.0, float("nan"), 1.0)
            elif theirs.is_floating_point():
                distance = measure(mine, theirs.double())
            else:
                distance = measure_bits(mine, theirs)
            known = theirs if theirs is not None else mine
            yield ShadowCheck(
                iteration=self._iteration,
                part=Part.TRANSFER,
                module="data_preprocessor",
                op="feed",
                tensor=name,
                call=-1,
                dtype=dtype_name(known.dtype) if known is not None else "",
                shape=tuple(known.shape) if known is not None else (),
                contiguous=True,
                error=distance.error,
                projection=distance.projection,
                terms=4.0 if known is not None and known.is_floating_point() else 1.0,
                spread=distance.spread,
            )

    def _keep(self, module: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        if self._seen is None:
            with _disable_current_modes():
                named = dict(zip(("inputs", "data_samples"), args, strict=False)) | kwargs
                self._seen = {name: _plain(named.get(name)) for name in ("inputs", "data_samples")}


def _host_twin(preprocessor: torch.nn.Module | None) -> Any:
    """A copy on the host, as its class defines it, whatever was put over the original's methods."""
    if preprocessor is None:
        return None
    twin: Any = copy.deepcopy(preprocessor).cpu()
    vars(twin).pop("forward", None)
    if hasattr(twin, "_device"):
        twin._device = torch.device("cpu")
    return twin


def _plain(value: Any) -> Any:
    """Tensors on the host; mappings, sequences and data elements as mappings and lists of them."""
    if isinstance(value, Mapping):
        return {str(name): _plain(inner) for name, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(inner) for inner in value]
    if hasattr(value, "all_items"):  # mmengine's data element
        return {name: _plain(inner) for name, inner in value.all_items()}
    return map_tensors(value, lambda tensor: tensor.detach().cpu().clone()) if isinstance(value, torch.Tensor) else None


def _pairs(mine: Any, theirs: Any) -> Iterator[tuple[str, torch.Tensor | None, torch.Tensor | None]]:
    theirs = {name: _plain(theirs.get(name)) for name in ("inputs", "data_samples")}
    for name in ("inputs", "data_samples"):
        left, right = list(tensors_of(_values(mine[name]))), list(tensors_of(_values(theirs[name])))
        label = "images" if name == "inputs" else "labels"
        for number in range(max(len(left), len(right))):
            suffix = f" {number}" if max(len(left), len(right)) > 1 else ""
            a = left[number] if number < len(left) else None
            b = right[number] if number < len(right) else None
            yield label + suffix, a, b


def _values(value: Any) -> Any:
    """Nested mappings as nested lists, in the order of their names."""
    if isinstance(value, Mapping):
        return [_values(value[name]) for name in sorted(value)]
    return [_values(inner) for inner in value] if isinstance(value, list) else value
