"""Models that are no case: of a library, by the name that it has there, or of a function of the user's.

``timm:resnet18`` · ``torchvision:resnet18`` · ``transformers:BertConfig`` (a config class, or a model's) ·
``package.module:function`` (a function that returns the model and what it is called with). Nothing is downloaded: the
weights are drawn. What a model is fed is drawn too, in the shape that the model asks for.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Callable, Mapping, Sequence, ValuesView
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch.nn.parameter import is_lazy
from torch.nn.utils.rnn import PackedSequence
from torch.utils._python_dispatch import _disable_current_modes

from harness.values.errors import ModelError, UsageError

__all__ = ["FAILURES", "LIBRARIES", "LoneModel", "Request", "build_model", "trained_results"]

_Tensor = torch.Tensor

FAILURES = (AttributeError, LookupError, TypeError, ValueError, RuntimeError, AssertionError)
"""What building a model, or a step of it, may end in. PyTorch's optimizers assert what they ask of a device."""


@dataclass(frozen=True)
class Request:
    """A model that is asked for.

    Args:
        spec: ``library:name``, or ``module:function``.
        options: given to the library's constructor, or to the function.
        batch: samples in a batch; a function of the user's is asked for it where it has such an argument.
        size: height and width of images; the model's own, or 64, where 0.
        seed: of weights and inputs.
    """

    spec: str
    options: Mapping[str, Any]
    batch: int = 2
    size: int = 0
    seed: int = 0


@dataclass(frozen=True)
class LoneModel:
    """A model and what a training step of it is made of, on the host.

    Args:
        name: for a person.
        module: in training mode.
        args: positional inputs.
        kwargs: inputs by name.
        loss: a scalar from what the module returned.
    """

    name: str
    module: torch.nn.Module
    args: Sequence[Any]
    kwargs: Mapping[str, Any]
    loss: Callable[[Any], _Tensor]


def build_model(request: Request) -> LoneModel:
    """The model with drawn weights and inputs.

    Raises:
        UsageError: the model can't be told by its name.
        ModelError: it can't be built so.
    """
    library, colon, name = request.spec.partition(":")
    if not colon or not library or not name:
        raise UsageError(
            "a model is told by where it is from and its name",
            where="--model",
            observed=request.spec,
            allowed=", ".join(f"{known}:NAME" for known in LIBRARIES) + ", MODULE:FUNCTION",
            hint="align ops --model timm:resnet18",
        )
    torch.manual_seed(request.seed)
    try:
        return LIBRARIES.get(library, _from_function)(request, name)
    except ImportError as failure:
        raise UsageError(
            "the model's library can't be imported",
            where=f"--model {request.spec}",
            observed=str(failure).splitlines()[0] if str(failure) else type(failure).__name__,
            hint=f"pip install {library}" if library in LIBRARIES else "is the module on the path (PYTHONPATH)?",
        ) from failure
    except FAILURES as failure:
        raise ModelError(
            "the model can't be built",
            where=f"--model {request.spec}",
            observed=f"{type(failure).__name__}: {str(failure).splitlines()[0] if str(failure) else ''}",
        ) from failure


def _of_timm(request: Request, name: str) -> LoneModel:
    timm: Any = importlib.import_module("timm")
    options = dict(request.options)
    module = timm.create_model(name, pretrained=False, **options)
    own = module.default_cfg.get("fixed_input_size") and module.default_cfg["input_size"][-1]
    size = request.size or own or 64
    return _of_images(request, module, options.get("in_chans", 3), size)


def _of_torchvision(request: Request, name: str) -> LoneModel:
    models: Any = importlib.import_module("torchvision.models")
    module = models.get_model(name, weights=None, **_without_weights(models.get_model_builder(name)), **request.options)
    return _of_images(request, module, 3, request.size or 64)


def _without_weights(builder: Callable[..., Any]) -> dict[str, None]:
    """Segmentation's builders would else download a backbone's weights."""
    return {"weights_backbone": None} if "weights_backbone" in inspect.signature(builder).parameters else {}


def _of_images(request: Request, module: torch.nn.Module, channels: int, size: int) -> LoneModel:
    images = torch.randn(request.batch, channels, size, size)
    return LoneModel(request.spec, module.train(), (images,), {}, _Loss(request.seed))


def _of_transformers(request: Request, name: str) -> LoneModel:
    transformers: Any = importlib.import_module("transformers")
    kind = getattr(transformers, name)
    configures = kind if issubclass(kind, transformers.PretrainedConfig) else kind.config_class
    config = configures(**request.options)
    module = transformers.AutoModel.from_config(config) if configures is kind else kind(config)
    return LoneModel(
        request.spec, module.train(), (), _transformers_inputs(module, config, request), _Loss(request.seed)
    )


def _transformers_inputs(module: Any, config: Any, request: Request) -> dict[str, Any]:
    """By the name of the model's main input; an encoder's decoder gets tokens as well."""
    main, drawn = module.main_input_name, {}
    parameters = inspect.signature(module.forward).parameters
    if main == "pixel_values" or (hasattr(config, "vision_config") and "pixel_values" in parameters):
        vision = getattr(config, "vision_config", config)
        side = getattr(vision, "image_size", 0) or request.size or 64
        height, width = side if isinstance(side, (list, tuple)) else (side, side)
        drawn["pixel_values"] = torch.randn(request.batch, getattr(vision, "num_channels", 3), height, width)
    elif main == "input_features":
        length = 2 * getattr(config, "max_source_positions", 32)
        drawn[main] = torch.randn(request.batch, getattr(config, "num_mel_bins", 80), length)
    elif main == "input_values":
        drawn[main] = torch.randn(request.batch, 4000)
    text = getattr(config, "text_config", config)
    for tokens in ("input_ids", "decoder_input_ids"):
        if tokens == main or (tokens in parameters and tokens == "decoder_input_ids" and config.is_encoder_decoder):
            drawn[tokens] = torch.randint(3, text.vocab_size, (request.batch, request.size or 16))
    return drawn


def _from_function(request: Request, name: str) -> LoneModel:
    """The user's function returns the model and its inputs, and may return a function of the loss as well."""
    module_name = request.spec.partition(":")[0]
    function = getattr(importlib.import_module(module_name), name)
    asked = inspect.signature(function).parameters
    own = {key: value for key, value in (("batch", request.batch), ("size", request.size)) if key in asked and value}
    made = function(**own, **request.options)
    if not isinstance(made, (list, tuple)) or len(made) not in {2, 3} or not isinstance(made[0], torch.nn.Module):
        raise ModelError(
            "the function returns no model with its inputs",
            where=f"--model {request.spec}",
            observed=type(made).__name__,
            allowed="(model, inputs) or (model, inputs, loss): inputs a tensor, a tuple, or a dict of names; the loss "
            "a function of what the model returns",
        )
    module, inputs, *loss = made
    by_name = isinstance(inputs, Mapping)
    several = isinstance(inputs, (list, tuple)) and not isinstance(inputs, PackedSequence)
    given = () if by_name else tuple(inputs) if several else (inputs,)
    named = dict(inputs) if by_name else {}
    _materialize(module, given, named)
    return LoneModel(request.spec, module.train(), given, named, loss[0] if loss else _Loss(request.seed))


def _materialize(module: torch.nn.Module, args: Sequence[Any], kwargs: Mapping[str, Any]) -> None:
    """Let lazy modules meet their inputs once, in evaluation mode, so that no statistic has seen them."""
    if any(is_lazy(each) for each in (*module.parameters(), *module.buffers())):
        with torch.no_grad():
            module.eval()(*args, **kwargs)


LIBRARIES: Mapping[str, Callable[[Request, str], LoneModel]] = {
    "timm": _of_timm,
    "torchvision": _of_torchvision,
    "transformers": _of_transformers,
}
"""Library → what builds its models."""


class _Loss:
    """Cross entropy of class scores, (B, C) or (B, C, H, W), else the mean square distance; from drawn targets.

    Of several results the losses are added. A result that is a loss already, a scalar, is taken as it is.

    Args:
        seed: of the targets.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def __call__(self, returned: Any) -> _Tensor:
        own = returned.get("loss") if isinstance(returned, Mapping) else None
        if isinstance(own, _Tensor):
            return own
        generator = torch.Generator().manual_seed(self._seed)
        losses = [self._of(result, generator) for result in trained_results(returned)]
        if not losses:
            raise ModelError("the model returns nothing that can be trained", observed=type(returned).__name__)
        total = losses[0]
        for loss in losses[1:]:
            total = total + loss
        return total

    def _of(self, result: _Tensor, generator: torch.Generator) -> _Tensor:
        if not result.dim():
            return result
        if result.dim() in {2, 4} and result.shape[1] > 1:
            with _disable_current_modes():  # what is drawn on the host is no part of the device's step
                labels = torch.randint(result.shape[1], (len(result), *result.shape[2:]), generator=generator)
            return F.cross_entropy(result, labels.to(result.device))
        with _disable_current_modes():
            target = torch.randn(result.shape, generator=generator)
        return F.mse_loss(result.float(), target.to(result.device))


def trained_results(returned: Any) -> list[_Tensor]:
    """The floating results that depend on parameters, in order."""
    if isinstance(returned, _Tensor):
        return [returned] if returned.is_floating_point() and returned.requires_grad else []
    values = returned.values() if isinstance(returned, Mapping) else returned
    return [result for value in values for result in trained_results(value)] if isinstance(values, _Many) else []


_Many = (list, tuple, ValuesView)
