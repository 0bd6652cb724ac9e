"""Random numbers that are drawn on the host and copied, so that they are equal on every device.

Stochastic depth, points drawn at random, noise that is added: a device's own generator draws others than the
reference's, and a run with other draws is another experiment. ``dropout`` holds the same of dropout's masks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F

from harness.values.errors import CaseError, RunError

__all__ = ["HostDraws", "require_drawn_on_host"]

Tensor = torch.Tensor

_IN_PLACE = (*("bernoulli_", "cauchy_", "exponential_", "geometric_", "log_normal_", "normal_", "random_", "uniform_"),)
_FROM_TENSORS = ("bernoulli", "multinomial", "normal", "poisson", "binomial")
_FACTORIES = ("rand", "randn", "randint", "randperm")
_LIKE = ("rand_like", "randn_like", "randint_like")


class HostDraws:
    """While it is entered, what Python code draws for a device comes from torch's generator of the CPU.

    The functions of ``torch`` and the methods of ``Tensor`` are replaced, as ``HostDropout`` does it and for the same
    reason. What a kernel draws inside itself stays the device's; ``DeviceDraws`` sees that, and
    ``require_drawn_on_host`` refuses the modules that are known for it. Attention with dropout inside is computed by
    its definition, with a mask of the host's.
    """

    def __enter__(self) -> HostDraws:
        self._originals = [(owner, name, vars(owner).get(name)) for owner, name, _ in _replacements()]
        for owner, name, replacement in _replacements():
            setattr(owner, name, replacement)
        return self

    def __exit__(self, *_: object) -> None:
        for owner, name, original in self._originals:
            if original is None:  # it was inherited
                delattr(owner, name)
            else:
                setattr(owner, name, original)


def require_drawn_on_host(model: torch.nn.Module) -> None:
    """Refuse a model whose kernels draw inside themselves.

    Raises:
        CaseError: naming the modules.
    """
    drawing = [
        name
        for name, module in model.named_modules()
        if (isinstance(module, torch.nn.RNNBase) and module.dropout and module.num_layers > 1)
        or isinstance(module, torch.nn.RReLU)
    ]
    if drawing:
        raise CaseError(
            "a module draws random numbers inside its kernel: two devices draw others, and can't be compared",
            where=", ".join(drawing[:3]),
            allowed="dropout and draws outside of kernels: nn.Dropout between recurrent layers, nn.LeakyReLU",
            hint="set the module's dropout to 0 in the case",
        )


def _is_host(device: torch.device | str | int | None) -> bool:
    if device is None:
        return torch.get_default_device().type in {"cpu", "meta"}
    return torch.device(device).type in {"cpu", "meta"}


def _on_host(value: Any) -> Any:
    return value.detach().cpu() if isinstance(value, Tensor) else value


def _require_host_generator(generator: Any, name: str) -> None:
    if generator is not None and generator.device.type != "cpu":
        raise RunError(
            "random numbers are drawn from a device's own generator: another device draws others",
            where=f"{name}(generator=…)",
            observed=f"a generator of {generator.device}",
            allowed="torch.Generator() of the CPU, or none",
        )


def _in_place(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def drawn(self: Tensor, *args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        given = {} if generator is None else {"generator": generator}
        if _is_host(self.device):
            return original(self, *args, **given, **kwargs)
        _require_host_generator(generator, name)
        with torch.no_grad():
            host = torch.empty(self.shape, dtype=self.dtype, device="cpu")
            host = original(host, *map(_on_host, args), **given, **{key: _on_host(v) for key, v in kwargs.items()})
        return self.copy_(host)

    return drawn


def _from_tensors(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def drawn(*args: Any, generator: Any = None, **kwargs: Any) -> Tensor:
        given = {} if generator is None else {"generator": generator}
        tensors = [value for value in (*args, *kwargs.values()) if isinstance(value, Tensor)]
        device = next((tensor.device for tensor in tensors if not _is_host(tensor.device)), None)
        out = kwargs.pop("out", None)
        if device is None and (tensors or _is_host(kwargs.get("device"))):
            kwargs = kwargs if out is None else {**kwargs, "out": out}
            return original(*args, **given, **kwargs)
        _require_host_generator(generator, name)
        device = torch.device(kwargs.pop("device", None) or torch.get_default_device()) if device is None else device
        with torch.no_grad():
            host = original(*map(_on_host, args), **given, **{key: _on_host(v) for key, v in kwargs.items()})
        made: Tensor = out.copy_(host) if out is not None else host.to(device)
        return made

    return drawn


def _factory(name: str, original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def drawn(*args: Any, device: Any = None, generator: Any = None, out: Any = None, **kwargs: Any) -> Tensor:
        given: dict[str, Any] = {} if generator is None else {"generator": generator}
        if out is not None:
            device = out.device
        if _is_host(device):
            given |= {} if out is None else {"out": out}
            return original(*args, device=device, **given, **kwargs)
        _require_host_generator(generator, name)
        kwargs.pop("pin_memory", None)
        needs_gradient = bool(kwargs.pop("requires_grad", False))
        host = original(*args, device="cpu", **given, **kwargs)
        made: Tensor = out.copy_(host) if out is not None else host.to(device or torch.get_default_device())
        return made.requires_grad_() if needs_gradient else made

    return drawn


def _like(name: str, original: Callable[..., Tensor], factory: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def drawn(input: Tensor, *args: Any, device: Any = None, **kwargs: Any) -> Tensor:  # noqa: A002  # torch's name
        target = input.device if device is None else torch.device(device)
        if _is_host(target):
            return original(input, *args, device=device, **kwargs)
        dtype, needs_gradient = kwargs.get("dtype") or input.dtype, bool(kwargs.get("requires_grad"))
        # Drawn in the order of the indices, whatever the layout of the tensor on each device.
        host = factory(*args, tuple(input.shape), dtype=dtype, device="cpu")
        made = torch.empty_like(input, dtype=dtype, device=target).copy_(host)
        return made.requires_grad_() if needs_gradient else made

    return drawn


def _attention(original: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def attention(
        query: Tensor,
        key: Tensor,
        value: Tensor,
        attn_mask: Tensor | None = None,
        dropout_p: float = 0.0,
        is_causal: bool = False,
        scale: float | None = None,
        enable_gqa: bool = False,
    ) -> Tensor:
        """PyTorch's, by the definition in its documentation where there is dropout."""
        if not dropout_p:
            more = {"enable_gqa": True} if enable_gqa else {}
            return original(query, key, value, attn_mask, dropout_p, is_causal, scale=scale, **more)
        if enable_gqa:
            key = key.repeat_interleave(query.size(-3) // key.size(-3), -3)
            value = value.repeat_interleave(query.size(-3) // value.size(-3), -3)
        scores = query @ key.transpose(-2, -1) * (1 / math.sqrt(query.size(-1)) if scale is None else scale)
        if is_causal:
            size = (query.size(-2), key.size(-2))
            attn_mask = torch.ones(size, dtype=torch.bool, device=query.device).tril()
        if attn_mask is not None:
            masked = attn_mask.dtype == torch.bool
            scores = scores.masked_fill(~attn_mask, -math.inf) if masked else scores + attn_mask
        return F.dropout(scores.softmax(-1), dropout_p, True) @ value

    return attention


def _alpha_dropout(whole_channels: bool) -> Callable[..., Tensor]:
    def dropout(
        input: Tensor,  # noqa: A002  # the name that callers may use
        p: float = 0.5,
        training: bool = False,
        inplace: bool = False,
    ) -> Tensor:
        """Klambauer et al. 2017 (1706.02515), appendix: what is dropped is set to −α', mean and variance are kept."""
        if not training or p == 0.0:
            return input
        shape = (*input.shape[:2], *(1,) * (input.dim() - 2)) if whole_channels else tuple(input.shape)
        kept = (torch.rand(shape, dtype=torch.float32) >= p).to(device=input.device, dtype=input.dtype)
        alpha = 1.7580993408473766
        a = 1.0 / math.sqrt((alpha * alpha * p + 1) * (1 - p)) if p < 1 else 0.0
        made = input * (kept * a) + ((kept - 1) * (alpha * a) + alpha * a * p)
        return input.copy_(made) if inplace else made

    return dropout


_REPLACEMENTS: list[tuple[Any, str, Callable[..., Tensor]]] = []


def _replacements() -> list[tuple[Any, str, Callable[..., Tensor]]]:
    """Owner, name, and what stands there while it is entered; made once, of PyTorch's own functions."""
    if not _REPLACEMENTS:
        torch_own: dict[str, Callable[..., Tensor]] = {name: getattr(torch, name) for name in (*_FACTORIES, *_LIKE)}
        _REPLACEMENTS.extend((torch, name, _factory(name, torch_own[name])) for name in _FACTORIES)
        of_shape = {"rand_like": "rand", "randn_like": "randn", "randint_like": "randint"}
        _REPLACEMENTS.extend(
            (torch, name, _like(name, torch_own[name], torch_own[factory])) for name, factory in of_shape.items()
        )
        _REPLACEMENTS.extend((Tensor, name, _in_place(name, getattr(Tensor, name))) for name in _IN_PLACE)
        _REPLACEMENTS.extend((torch, name, _from_tensors(name, getattr(torch, name))) for name in _FROM_TENSORS)
        _REPLACEMENTS.extend(
            (Tensor, name, _from_tensors(name, getattr(Tensor, name))) for name in ("bernoulli", "multinomial")
        )
        attention = F.scaled_dot_product_attention
        _REPLACEMENTS.append((F, "scaled_dot_product_attention", _attention(attention)))
        _REPLACEMENTS.append((F, "alpha_dropout", _alpha_dropout(whole_channels=False)))
        _REPLACEMENTS.append((F, "feature_alpha_dropout", _alpha_dropout(whole_channels=True)))
    return _REPLACEMENTS
