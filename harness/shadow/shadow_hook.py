"""What shadows chosen iterations of a training."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from functools import partial
from typing import Any

from torch.utils._python_dispatch import _disable_current_modes

from harness.shadow.by_program.dropping import OwnDropout
from harness.shadow.files.check_stream import ShadowStream
from harness.shadow.forced.forcing import ForcedCalls
from harness.shadow.reproducing.program import keep_nothing, without_program
from harness.shadow.reproducing.reproductions import Reproductions
from harness.shadow.watching.call_site import CallSites
from harness.shadow.watching.fallback import counted_fallbacks
from harness.shadow.watching.mode import ShadowOps
from harness.training.seam import Trained

__all__ = ["ShadowSteps"]

_OF_DRAWS = "it is made of draws and products, which have programs of their own where they are wrong"


class ShadowSteps:
    """Shadows chosen iterations: operations by a dispatch mode, and by program what operations can't show.

    It is an observer that is told before the recorder, whose ``around`` enters ``shadowing``: then the recording's own
    operations stay outside.

    Args:
        stream: where the checks go.
        iterations: which to shadow.
        tier: precision tier, a key of ``SHADOW_TIERS``.
        wanted: whether to check an operation, by its name.
        budget: bytes of host memory that computing one operation again may take.
        reproductions: keeps the calls that came out wrong; none is kept without it.
        forced: makes each operation of the first shadowed iteration again with hard inputs; none without it.
        on_check: called with the iteration and how many of its operations have been called, before each is checked.
    """

    def __init__(
        self,
        stream: ShadowStream,
        iterations: Sequence[int],
        tier: str,
        wanted: Callable[[str], bool],
        budget: int,
        reproductions: Reproductions | None = None,
        forced: ForcedCalls | None = None,
        on_check: Callable[[int, int], None] = lambda iteration, number: None,
    ) -> None:
        self._stream = stream
        self._iterations = frozenset(iterations)
        self._tier = tier
        self._wanted = wanted
        self._budget = budget
        self._reproductions = reproductions
        self._keep = reproductions.keep if reproductions is not None else keep_nothing
        self._forced = forced
        self._on_check = on_check
        self._always: dict[str, str] = {}
        self._stack = ExitStack()
        self._compiled = False

    def leave_out_always(self, what: str, reason: str) -> None:
        """Tell with each shadowed iteration what its operations can't show, and why; it counts as a call unchecked."""
        self._always[what] = reason

    def judge_compiled(self) -> None:
        """Judge what is compiled, graph by graph; the modules are left without hooks, which would be compiled."""
        self._compiled = True

    def begin(self, training: Trained) -> None:
        """Find out what is asked of the training's steps."""
        self._model = training.model
        self._where = CallSites(self._model)
        self._checks = training.checks(sorted(self._iterations), self._keep)

    def before(self, training: Trained, iteration: int, batch: Any) -> None:
        """Sample what the step is going to change."""
        if iteration in self._iterations:
            self._stack = ExitStack()
            self._checks.before(iteration, batch)
            self._stack.enter_context(self._checks.listening(self._where.optimizing))

    def after(self, training: Trained, iteration: int, batch: Any, returned: Any) -> None:
        """Compare what the step made with what it should have made."""
        if iteration in self._iterations:
            self._stack.close()
            with _disable_current_modes():
                self._checks.after(returned)

    def abandon(self) -> None:
        """Leave the open iteration."""
        self._stack.close()

    def end(self) -> None:
        """Nothing is held between iterations."""

    @contextmanager
    def shadowing(self, iteration: int) -> Iterator[None]:
        """What the recorder enters around an iteration; the checks are written when it is left."""
        if iteration not in self._iterations:
            yield
            return
        mode = ShadowOps(
            self._where,
            iteration,
            self._tier,
            self._wanted,
            self._budget,
            self._reproductions,
            on_check=partial(self._on_check, iteration),
        )
        forced, self._forced = self._forced, None
        with (
            self._where.following(modules=not self._compiled),
            forced or nullcontext(),
            OwnDropout(self._where, iteration) as dropout,
            mode,
        ):
            yield
            dropped = dropout.ask(mode)
        for check in dropped:
            self._keep(check, without_program(_OF_DRAWS))
        checks = [*mode.checks, *self._checks.found, *dropped]
        unseen = self._always if self._compiled else self._where.unseen | self._always
        skipped = {**mode.skipped, **self._checks.skipped, **unseen}
        programs, calls = {**self._checks.unchecked, **dict.fromkeys(unseen, 1)}, mode.unchecked
        mode.fallen_back |= counted_fallbacks(next(self._model.parameters()).device) & mode.calls.keys()
        self._stream.append(
            iteration, checks, mode.calls, mode.checked, skipped, mode.fallen_back, programs, calls, mode.signatures
        )
        if forced is not None:
            done = mode.calls.total()
            forced.replay(iteration, lambda number: self._on_check(iteration, done + number))
