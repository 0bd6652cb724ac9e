"""Faults on models that nobody chose for them: how many shadow ops find by themselves, in two training steps.

    python benchmarks/zoo_faults.py [MODEL …] [--json FILE]

Each fault is a kernel or an optimizer that is wrong: layer norm's eps, its variance unbiased, GELU's tanh form for the
exact one, softmax scaled, an attention mask off by one, rotary's sign, the embedding's gradient without repeats, group
norm over one group, a convolution's or a product's gradient a hundredth too large, AdamW's decay coupled, its bias
correction off by one, its eps inside the root, amsgrad ignored. A fault counts where it strikes and changes a tensor by
more than ten roundings of the tier. It is named rightly where the first finding is of the operation that it strikes, or
of the optimizer.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from scipy.stats import binomtest
from torch.utils._python_dispatch import TorchDispatchMode
from zoo import SETTINGS, ZOO, declare_torchvision

from harness.devices.surroundings import git_commit, versions
from harness.lab.emulation import install
from harness.shadow.judging.error_model import kept_bits, unit_roundoff
from harness.shadow.judging.operations import judge_shadow, weigh_shadow
from harness.shadow.model_sources import Request, build_model
from harness.shadow.model_steps import Training, shadow_steps
from harness.values.verdict import Outcome

MODELS = (
    "timm:vit_tiny_patch16_224",
    "timm:convnext_atto",
    "timm:swin_tiny_patch4_window7_224",
    "timm:resnet10t",
    "transformers:BertConfig",
    "transformers:LlamaConfig",
    "transformers:OPTConfig",
    "transformers:SegformerConfig",
    "plain:grouped",
    "plain:attention",
)
SETTING = "tf32"
_aten = torch.ops.aten
_Tensor = torch.Tensor
Change = Callable[..., Any]


def _layer_norm_eps(out: Any, x: _Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    return _aten.native_layer_norm(x, shape, weight, bias, 100 * eps)


def _layer_norm_unbiased(out: Any, x: _Tensor, shape: Any, weight: Any, bias: Any, eps: float) -> Any:
    y, mean, deviation = _aten.native_layer_norm(x, shape, None, None, eps)
    n = math.prod(shape)
    y = y * math.sqrt((n - 1) / n)
    y = y if weight is None else y * weight
    return (y if bias is None else y + bias), mean, deviation


def _gelu_tanh(out: Any, x: _Tensor, **settings: Any) -> Any:
    return _aten.gelu(x, approximate="tanh") if settings.get("approximate", "none") == "none" else out


def _softmax_scaled(out: Any, x: _Tensor, *rest: Any, **settings: Any) -> Any:
    return _aten._softmax(x * 1.02, rest[0], False) if x.is_floating_point() else out


def _mask_off_by_one(out: Any, x: _Tensor, other: Any, *rest: Any, **settings: Any) -> Any:
    """A mask that is added to scores: one place to the side."""
    masks = isinstance(other, _Tensor) and x.dim() == 4 and other.dim() >= 2 and float(other.min()) < -1e4
    return _aten.add.Tensor(x, other.roll(1, -1)) if masks else out


def _rotary_sign(out: Any, x: _Tensor) -> Any:
    return x.clone()


def _repeats_lost(out: Any, gradient: _Tensor, tokens: _Tensor, *rest: Any) -> Any:
    made = torch.zeros_like(out)
    made[tokens.reshape(-1)] = gradient.reshape(-1, gradient.shape[-1])
    return made


def _one_group(out: Any, x: _Tensor, weight: Any, bias: Any, n: int, c: int, hw: int, groups: int, eps: float) -> Any:
    y, _, _ = _aten.native_group_norm(x, weight, bias, n, c, hw, 1, eps)
    return y, out[1], out[2]


def _wgrad(out: Any, *rest: Any) -> Any:
    return out[0], None if out[1] is None else out[1] * 1.01, out[2]


def _dgrad(out: Any, *rest: Any) -> Any:
    return out * 1.01


KERNELS: dict[str, tuple[str, Change]] = {
    "layer norm's eps × 100": ("native_layer_norm", _layer_norm_eps),
    "layer norm's variance unbiased": ("native_layer_norm", _layer_norm_unbiased),
    "GELU's tanh form": ("gelu", _gelu_tanh),
    "softmax of scores × 1.02": ("_softmax", _softmax_scaled),
    "safe softmax of scores × 1.02": ("_safe_softmax", _softmax_scaled),
    "attention mask off by one": ("add", _mask_off_by_one),
    "rotary's sign": ("neg", _rotary_sign),
    "embedding's repeats lost": ("embedding_dense_backward", _repeats_lost),
    "group norm over one group": ("native_group_norm", _one_group),
    "convolution's weight gradient × 1.01": ("convolution_backward", _wgrad),
    "product × 1.01": ("mm", _dgrad),
    "batched product × 1.01": ("bmm", _dgrad),
}
"""Fault → the operation that it strikes, and what becomes of its result."""


class Wrong(TorchDispatchMode):
    """A device on which one operation is wrong.

    Args:
        op: the operation's name.
        change: makes its result from the right one and its arguments.

    Attributes:
        largest: by how much it changed a result at most, relative to its norm.
    """

    def __init__(self, op: str, change: Change) -> None:
        super().__init__()
        self._op, self._change, self.largest = op, change, 0.0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if func._schema.name != f"aten::{self._op}":
            return out
        made = self._change(out, *args, **(kwargs or {}))
        for right, wrong in zip(_listed(out), _listed(made), strict=True):
            if isinstance(right, _Tensor) and right.is_floating_point() and right.numel():
                off = (wrong.cpu().double() - right.cpu().double()).norm() / right.cpu().double().norm().clamp_min(
                    1e-300
                )
                self.largest = max(self.largest, float(off))
        return made


def _listed(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (tuple, list)) else [value]


def _wrong_adamw(fault: str) -> Callable[..., None]:
    """AdamW's step in plain PyTorch, with a fault."""

    @torch.no_grad()
    def step(self: Any, closure: Any = None) -> None:
        for group in self.param_groups:
            rate, (b1, b2), eps, decay = group["lr"], group["betas"], group["eps"], group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state, g = self.state[p], p.grad
                if not state:
                    state["step"] = torch.zeros(())
                    names = ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else []))
                    state.update({name: torch.zeros_like(p) for name in names})
                state["step"] += 1
                t = int(state["step"]) + (fault == "bias correction off by one")
                if fault == "decay coupled":
                    g = g + decay * p
                else:
                    p.mul_(1 - rate * decay)
                state["exp_avg"].mul_(b1).add_(g, alpha=1 - b1)
                state["exp_avg_sq"].mul_(b2).addcmul_(g, g, value=1 - b2)
                second = state["exp_avg_sq"]
                if group["amsgrad"] and fault != "amsgrad ignored":
                    second = state["max_exp_avg_sq"].copy_(torch.maximum(state["max_exp_avg_sq"], second))
                second = second / (1 - b2**t)
                scale = (second + eps).sqrt() if fault == "eps inside the root" else second.sqrt() + eps
                p.addcdiv_(state["exp_avg"], scale, value=-rate / (1 - b1**t))

    return step


OPTIMIZER = ("decay coupled", "bias correction off by one", "eps inside the root", "amsgrad ignored", "none")
"""Faults of AdamW's step; the last is the same step without one, which has to pass."""


@contextmanager
def adamw_with(fault: str) -> Iterator[None]:
    """While it is entered, AdamW takes its step with a fault."""
    own = torch.optim.AdamW.step
    torch.optim.AdamW.step = _wrong_adamw(fault)  # type: ignore[method-assign]
    try:
        yield
    finally:
        torch.optim.AdamW.step = own  # type: ignore[method-assign]


def main() -> None:
    """Run and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", help="none: all ten")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    warnings.simplefilter("ignore")
    if torch.__version__.endswith("+cpu"):
        declare_torchvision()
    print(f"torch {versions()['torch']}, {SETTING}, commit {git_commit(Path(__file__).parent)}")
    rows = []
    for name in arguments.models or MODELS:
        for fault in (*KERNELS, *OPTIMIZER):
            row = run(name, fault)
            if row is None:
                continue
            rows.append(row)
            found = "found" if row["found"] else "passed"
            print(f"{name}: {fault}: changes {row['effect']:.1e}: {found}; {row['first'][:110]}", flush=True)
            if arguments.json:
                arguments.json.write_text(json.dumps(rows, indent=1) + "\n")
    healthy = [row for row in rows if row["fault"] == "none"]
    faulty = [row for row in rows if row["fault"] != "none" and row["counts"]]
    found, named = (sum(row[key] for row in faulty) for key in ("found", "named"))
    low = binomtest(found, len(faulty)).proportion_ci(0.95, "exact").low if faulty else 0.0
    print(
        f"{found} of {len(faulty)} faults found (at least {low:.0%}, Clopper-Pearson, 95 %), {named} named rightly; "
        f"{sum(row['found'] for row in healthy)} of {len(healthy)} without a fault have a finding"
    )


def run(name: str, fault: str) -> dict[str, Any] | None:
    """Two steps of a model with a fault; None where it strikes nothing."""
    entry = next(entry for entry in ZOO if str(entry) == name)
    profile, autocast, tier = SETTINGS[SETTING]
    install(profile)
    model = build_model(Request(entry.spec, entry.options, 2, entry.size, 0))
    options = {"lr": 1e-3, "weight_decay": 0.05, "amsgrad": fault in {"amsgrad ignored", "none"}}
    training = Training("AdamW", options, autocast, 2, tier)
    if fault in KERNELS:
        op, change = KERNELS[fault]
        with Wrong(op, change) as wrong:
            record, _ = shadow_steps(model, "sdaa", training)
        if not wrong.largest:
            return None
        effect, counts = wrong.largest, wrong.largest > 10 * unit_roundoff(kept_bits(op, tier))
    else:
        op, effect, counts = "AdamW", math.nan, True
        with adamw_with(fault):
            record, _ = shadow_steps(model, "sdaa", training)
    failed = [f for f in judge_shadow(weigh_shadow(record, tier)) if f.status is Outcome.FAIL]
    first = failed[0].message if failed else ""
    named = any(op in finding.message for finding in failed[:1])
    return {
        "model": name, "fault": fault, "effect": effect, "counts": counts, "found": bool(failed), "named": named,
        "first": first,
    }  # fmt: skip


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main()
