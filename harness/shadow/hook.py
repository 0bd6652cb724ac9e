"""The hook that shadows chosen iterations of a run."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch.utils._python_dispatch import _disable_current_modes

from harness.recording.processes import HostGroup
from harness.shadow.by_program.dropping import OwnDropout
from harness.shadow.by_program.feeding import InputsWatched
from harness.shadow.by_program.gathering import GradientsWatched
from harness.shadow.by_program.schedule import scheduled_rates
from harness.shadow.by_program.stepping import StepProgram
from harness.shadow.by_program.totals import check_loss_scale, check_total
from harness.shadow.fallback import counted_fallbacks
from harness.shadow.forcing import ForcedCalls
from harness.shadow.mode import ShadowOps
from harness.shadow.reproducing.program import keep_nothing, without_program
from harness.shadow.reproducing.reproductions import Reproductions
from harness.shadow.whereabouts import Whereabouts
from harness.store.shadow import ShadowStream
from harness.values.shadow import Part, ShadowCheck

__all__ = ["ShadowHook"]

_OF_NUMBERS = "two numbers are compared, the run's and its config's, and nothing is computed"
_OF_DRAWS = "it is made of draws and products, which have programs of their own where they are wrong"
_OF_LOADERS = "what the model was given is compared with the loader's batch, which takes the case's own preprocessor"


class ShadowHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Shadows chosen iterations: operations by a dispatch mode, and by program what operations can't show.

    Register it before the recording hook, whose ``around`` enters ``shadowing``: then the recording's own operations
    stay outside.

    Args:
        stream: where the checks go.
        iterations: which to shadow.
        tier: precision tier, a key of ``SHADOW_TIERS``.
        wanted: whether to check an operation, by its name.
        budget: bytes of host memory that computing one operation again may take.
        reproductions: keeps the calls that came out wrong; none is kept without it.
        forced: makes each operation of the first shadowed iteration again with hard inputs; none without it.
    """

    priority = "VERY_HIGH"

    def __init__(
        self,
        stream: ShadowStream,
        iterations: Sequence[int],
        tier: str,
        wanted: Callable[[str], bool],
        budget: int,
        reproductions: Reproductions | None = None,
        forced: ForcedCalls | None = None,
    ) -> None:
        self._stream = stream
        self._iterations = frozenset(iterations)
        self._tier = tier
        self._wanted = wanted
        self._budget = budget
        self._reproductions = reproductions
        self._keep = reproductions.keep if reproductions is not None else keep_nothing
        self._forced = forced
        self._programs: list[ShadowCheck] = []
        self._skipped: dict[str, str] = {}
        self._unchecked: dict[str, int] = {}
        self._always: dict[str, str] = {}

    def leave_out_always(self, what: str, reason: str) -> None:
        """Tell with each shadowed iteration what its operations can't show, and why; it counts as a call unchecked."""
        self._always[what] = reason

    def before_train(self, runner: Any) -> None:
        """Find out what the config asks of optimizer and schedule."""
        self._model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self._where = Whereabouts(self._model)
        self._group = HostGroup.join()
        self._configured = runner.build_optim_wrapper(copy.deepcopy(runner.cfg.optim_wrapper))
        self._rates = scheduled_rates(runner, max(self._iterations, default=0) + 1)
        self._groups = _groups(self._configured.optimizer, runner.optim_wrapper.optimizer)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Sample what the step is going to change."""
        if runner.iter not in self._iterations:
            return
        self._programs, self._skipped, self._unchecked, self._stack = [], {}, {}, ExitStack()
        wrapper, rates = runner.optim_wrapper, self._rates[runner.iter] if self._rates is not None else None
        self._inputs = InputsWatched(self._model, data_batch, runner.iter)
        group = self._group.group if self._group else None
        self._gradients = GradientsWatched(dict(self._model.named_parameters()), runner.iter, group, self._keep)
        self._tell(_check_rates(wrapper.optimizer, rates, runner.iter), _OF_NUMBERS)
        self._tell(check_loss_scale(wrapper, self._configured, runner.iter), _OF_NUMBERS)
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        self._step = StepProgram(wrapper, names, runner.iter, self._groups, rates, self._keep)
        if self._step.reason:
            self._leave_out(type(wrapper.optimizer).__name__, self._step.updates, self._step.reason)
        else:
            self._step.before()
        if rates is None:
            why = "the schedule isn't counted in iterations"
            self._leave_out("schedule", len(wrapper.optimizer.param_groups), why)
        self._stack.enter_context(self._listening(wrapper))

    def after_train_iter(
        self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: dict[str, Any] | None = None
    ) -> None:
        """Compare what the step made with what it should have made."""
        if runner.iter not in self._iterations:
            return
        self._stack.close()
        with _disable_current_modes():
            self._tell(self._inputs.check(), _OF_LOADERS)
            self._programs += check_total(outputs or {}, runner.iter, self._keep)
            if not self._step.reason:
                self._programs += self._step.after()

    @contextmanager
    def shadowing(self, iteration: int) -> Iterator[None]:
        """What the recording hook enters around an iteration; the checks are written when it is left."""
        if iteration not in self._iterations:
            yield
            return
        mode = ShadowOps(self._where, iteration, self._tier, self._wanted, self._budget, self._reproductions)
        forced, self._forced = self._forced, None
        with self._where.following(), forced or nullcontext(), OwnDropout(self._where, iteration) as dropout, mode:
            yield
            dropped = dropout.ask(mode)
        self._tell(dropped, _OF_DRAWS)
        checks = [*mode.checks, *self._programs]
        skipped = {**mode.skipped, **self._skipped, **self._always}
        programs, calls = {**self._unchecked, **dict.fromkeys(self._always, 1)}, mode.unchecked
        mode.fallen_back |= counted_fallbacks(next(self._model.parameters()).device) & mode.calls.keys()
        self._stream.append(iteration, checks, mode.calls, mode.checked, skipped, mode.fallen_back, programs, calls)
        if forced is not None:
            forced.replay(iteration)

    def _tell(self, checks: Iterable[ShadowCheck], reason: str) -> None:
        """Checks by program that no program of a reproduction's can make again, and why."""
        for check in checks:
            self._programs.append(check)
            self._keep(check, without_program(reason))

    def _leave_out(self, program: str, results: int, reason: str) -> None:
        """What a program can't check is told, and each of its results counts as a call that wasn't checked."""
        self._skipped[program] = reason
        self._unchecked[program] = results

    @contextmanager
    def _listening(self, wrapper: Any) -> Iterator[None]:
        """Be told when the backward has ended, and which operations are the optimizer's."""
        backward, optimizing = wrapper.backward, ExitStack()

        def watched(*args: Any, **kwargs: Any) -> None:
            backward(*args, **kwargs)
            with _disable_current_modes():
                self._programs += self._gradients.check()
                if not self._step.reason:
                    self._step.after_backward()

        wrapper.backward = watched
        begin = wrapper.optimizer.register_step_pre_hook(
            lambda *_: optimizing.enter_context(self._where.optimizing()) and None
        )
        end = wrapper.optimizer.register_step_post_hook(lambda *_: optimizing.close())
        try:
            yield
        finally:
            del wrapper.backward
            begin.remove()
            end.remove()
            optimizing.close()


def _groups(configured: torch.optim.Optimizer, training: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The settings that the config gives each group; the live ones where the groups don't match."""
    source = configured if len(configured.param_groups) == len(training.param_groups) else training
    return [{name: value for name, value in group.items() if name != "params"} for group in source.param_groups]


def _check_rates(optimizer: torch.optim.Optimizer, rates: list[float] | None, iteration: int) -> Iterator[ShadowCheck]:
    """The rate that each group trains at beside the one that the config's schedule gives."""
    seen = set()
    for number, rate in enumerate(rates or []):
        group = float(optimizer.param_groups[number]["lr"])
        if (group, rate) in seen:
            continue
        seen.add((group, rate))
        projection = group / rate - 1 if rate else 0.0
        error = abs(projection) if rate else (float("inf") if group else 0.0)
        yield ShadowCheck(
            iteration, Part.OPTIMIZER, "", "schedule", f"learning rate of group {number}", -1, "float64", (), True,
            error, projection, operand=52,
        )  # fmt: skip
