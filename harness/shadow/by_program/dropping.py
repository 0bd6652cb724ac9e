"""The device's own dropout, of which a run shows nothing: its masks are drawn on the host, to be equal on every device.

The model will be trained with it all the same once it is ported. So a shadowed step asks for it beside the step: each
distinct dropout of the model once, of enough ones for its rate to show, forward and backward.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import _disable_current_modes

from harness.recording.dropout import OWN_DROPOUT
from harness.shadow.arithmetic.call import dtype_name
from harness.shadow.arithmetic.measure import Distance, measure
from harness.shadow.arithmetic.randomness import generator_kept
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.mode import ShadowOps

__all__ = ["OwnDropout"]

_SHAPES = {
    "dropout": (16_384,),
    "dropout1d": (64, 256, 1),
    "dropout2d": (64, 256, 1, 1),
    "dropout3d": (64, 256, 1, 1, 1),
}
"""Of the ones that are dropped: of 16,384 draws the share is within 0.024 of p, by six standard deviations or more."""

_Asked = tuple[str, float, torch.dtype, torch.device]


class OwnDropout:
    """Enter it around a step, and it notes which dropout the model asks for; then ``ask``, before it is left.

    Args:
        call_sites: tells the module of a call.
        iteration: number of the step.
    """

    def __init__(self, call_sites: CallSites, iteration: int) -> None:
        self._where = call_sites
        self._iteration = iteration
        self._asked: dict[_Asked, str] = {}

    def __enter__(self) -> OwnDropout:
        self._present: dict[str, Callable[..., torch.Tensor]] = {name: getattr(F, name) for name in OWN_DROPOUT}
        for name, present in self._present.items():
            setattr(F, name, self._noting(name, present))
        return self

    def __exit__(self, *_: object) -> None:
        for name, present in self._present.items():
            setattr(F, name, present)

    def ask(self, mode: ShadowOps) -> list[ShadowCheck]:
        """Let each device drop out ones as the model's modules asked for.

        The generators end in the state that they began with. What a device refuses counts as not checked.

        Args:
            mode: entered: it checks the operations that the dropout is made of.

        Returns:
            Checks of the share that is dropped, of what is kept, and of its gradient.
        """
        checks: list[ShadowCheck] = []
        for asked, module in self._asked.items():
            try:
                checks += self._once(asked, module)
            except (RuntimeError, NotImplementedError) as refusal:
                said = str(refusal).splitlines()[0][:120]
                mode.leave_out(asked[0], module, f"the device's own, asked for beside the step, ended in {said!r}")
        return checks

    def _once(self, asked: _Asked, module: str) -> Iterator[ShadowCheck]:
        """Of ones, with a gradient of ones, both the result and its gradient are the mask over 1 − p."""
        name, p, dtype, device = asked
        with _disable_current_modes():
            ones = torch.ones(_SHAPES[name], dtype=dtype, device=device, requires_grad=True)
        with generator_kept(device), torch.enable_grad(), self._where.within(module):
            made = OWN_DROPOUT[name](ones, p, training=True)
            (gradient,) = torch.autograd.grad(made, ones, torch.ones_like(made))
        with _disable_current_modes():
            made, gradient = made.detach().cpu(), gradient.cpu()
            kept = (made != 0).double()
            off = abs(float(kept.mean()) - (1 - p)) / math.sqrt(p * (1 - p))
            share = Distance(off, 0.0, 1.0, float(kept.numel()))
            yield self._check(asked, module, Part.RANDOM, "distribution", share)
            yield self._check(asked, module, Part.FORWARD, "output", measure(made, kept / (1 - p)))
            yield self._check(asked, module, Part.BACKWARD, "input gradient", measure(gradient, kept / (1 - p)))

    def _check(self, asked: _Asked, module: str, part: Part, tensor: str, distance: Distance) -> ShadowCheck:
        return ShadowCheck(
            iteration=self._iteration,
            part=part,
            module=module,
            op=asked[0],
            tensor=tensor,
            call=-1,
            dtype=dtype_name(asked[2]),
            shape=_SHAPES[asked[0]],
            contiguous=True,
            error=distance.error,
            projection=distance.projection,
            spread=distance.spread,
        )

    def _noting(self, name: str, present: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
        def dropout(
            input: torch.Tensor,  # noqa: A002  # the name that callers may use
            p: float = 0.5,
            training: bool = True,
            inplace: bool = False,
        ) -> torch.Tensor:
            if training and 0.0 < p < 1.0:
                _, module = self._where.here()
                self._asked.setdefault((name, float(p), input.dtype, input.device), module)
            return present(input, p, training, inplace)

        return dropout
