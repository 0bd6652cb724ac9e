"""An optimizer's steps, listened to: when the gradients are there that it is going to take, and when it has."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import torch

from harness.training.unseen_code import left_as_it_is

__all__ = ["listen"]


def listen(
    optimizer: torch.optim.Optimizer,
    before: Callable[[torch.optim.Optimizer], None],
    after: Callable[[torch.optim.Optimizer], None] | None = None,
) -> Callable[[], None]:
    """Call ``before`` when an optimizer's gradients are there, and ``after`` when it has taken its step.

    A step that is given a closure computes its gradients by it, as Lightning's does: then ``before`` is called when the
    closure has returned.

    Args:
        optimizer: to listen to.
        before: called before the update.
        after: called after it.

    Returns:
        What ends the listening.
    """

    def begin(stepping: torch.optim.Optimizer, args: Any, kwargs: Any) -> Any:
        closure = kwargs.get("closure", args[1] if len(args) > 1 else None)
        if closure is None:
            before(stepping)
            return None

        def watched() -> Any:
            returned = closure()
            before(stepping)
            return returned

        if "closure" in kwargs:
            return args, {**kwargs, "closure": watched}
        return (args[0], watched, *args[2:]), kwargs

    stack = ExitStack()
    stack.callback(optimizer.register_step_pre_hook(left_as_it_is(begin)).remove)
    if after is not None:
        end = left_as_it_is(lambda stepping, *_: after(stepping))
        stack.callback(optimizer.register_step_post_hook(end).remove)
    return stack.close
