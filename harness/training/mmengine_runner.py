"""mmengine's Runner as a training, and the hook through which it is observed."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch.utils._python_dispatch import _disable_current_modes

from harness.recording.processes import HostGroup
from harness.shadow.by_program.feeding import InputsWatched
from harness.shadow.by_program.gradient_gathering import GradientsWatched
from harness.shadow.by_program.rate_schedule import scheduled_rates
from harness.shadow.by_program.stepping import StepProgram
from harness.shadow.by_program.totals import check_loss_scale, check_total
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.reproducing.program import Keep, without_program
from harness.training.logged_values import scalars_of
from harness.training.own_checks import OwnChecks
from harness.training.seam import Observer, StepChecks, Trained

__all__ = ["ObserverHook", "RunnerTraining"]

_OF_NUMBERS = "two numbers are compared, the run's and its config's, and nothing is computed"
_OF_LOADERS = "what the model was given is compared with the loader's batch, which takes the case's own preprocessor"


class RunnerTraining(Trained):
    """A Runner that has been built.

    Args:
        runner: mmengine's.
    """

    def __init__(self, runner: Any) -> None:
        self.runner = runner
        self.model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        self.optimizers = (runner.optim_wrapper.optimizer,)
        averages = isinstance(runner.model, torch.nn.parallel.DistributedDataParallel)
        self.distributed = runner.model if averages else None

    @property
    def has_config(self) -> bool:
        """Whether a config says how it is optimized: a Runner that a script builds of objects has none."""
        return "optim_wrapper" in self.runner.cfg

    def remember(self) -> Callable[[], None]:
        """The loss scale of mixed precision, which overflows change."""
        scaler = getattr(self.runner.optim_wrapper, "loss_scaler", None)
        if scaler is None:
            return super().remember()
        kept = copy.deepcopy(scaler.state_dict())
        return lambda: scaler.load_state_dict(kept) if kept else None  # without one it is switched off

    def logged(self, returned: Any) -> dict[str, torch.Tensor]:
        """What the model logs by mmengine's rules: scalars, tensors or plain numbers."""
        return scalars_of(returned, "what the model's train_step returned")

    def evaluate(self, batch: Any) -> Mapping[str, torch.Tensor] | None:
        """The mode "loss" of a model of mmengine's kind, under autocast where the training is."""
        model: Any = self.model
        with self.runner.optim_wrapper.optim_context(model):
            inputs = model.data_preprocessor(batch, True)
            named = isinstance(inputs, Mapping)
            answers: Mapping[str, torch.Tensor] = model(**inputs, mode="loss") if named else model(*inputs, mode="loss")
        return answers

    def checks(self, iterations: Sequence[int], keep: Keep) -> StepChecks:
        """What the config asks of inputs, gradients, optimizer, schedule and loss; without one what a loop asks."""
        return _RunnerChecks(self, iterations, keep) if self.has_config else OwnChecks(self, keep)


class ObserverHook(Hook):  # type: ignore[misc]  # mmengine is not typed
    """Tells an observer of a Runner's iterations.

    Args:
        observer: to tell.
    """

    priority = "VERY_HIGH"

    def __init__(self, observer: Observer) -> None:
        self._observer = observer

    def before_train(self, runner: Any) -> None:
        """Called by mmengine when model, optimizer and schedule have been built."""
        self._training = RunnerTraining(runner)
        self._observer.begin(self._training)

    def before_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None) -> None:
        """Called by mmengine before each iteration."""
        self._observer.before(self._training, runner.iter, data_batch)

    def after_train_iter(self, runner: Any, batch_idx: int, data_batch: Any = None, outputs: Any = None) -> None:
        """Called by mmengine after each iteration."""
        self._observer.after(self._training, runner.iter, data_batch, outputs)


class _RunnerChecks:
    """Checks by program of a Runner's iterations; see ``StepChecks``."""

    def __init__(self, training: RunnerTraining, iterations: Sequence[int], keep: Keep) -> None:
        runner = training.runner
        self._runner, self._model, self._keep = runner, training.model, keep
        self._group = HostGroup.join()
        self._configured = runner.build_optim_wrapper(copy.deepcopy(runner.cfg.optim_wrapper))
        self._rates = scheduled_rates(runner, max(iterations, default=0) + 1)
        self._groups = _groups(self._configured.optimizer, runner.optim_wrapper.optimizer)
        self.found: list[ShadowCheck] = []
        self.skipped: dict[str, str] = {}
        self.unchecked: dict[str, int] = {}

    def before(self, iteration: int, batch: Any) -> None:
        self.found, self.skipped, self.unchecked = [], {}, {}
        self._iteration = iteration
        wrapper, rates = self._runner.optim_wrapper, self._rates[iteration] if self._rates is not None else None
        self._inputs = InputsWatched(self._model, batch, iteration)
        group = self._group.group if self._group else None
        self._gradients = GradientsWatched(dict(self._model.named_parameters()), iteration, group, self._keep)
        self._tell(_check_rates(wrapper.optimizer, rates, iteration), _OF_NUMBERS)
        self._tell(check_loss_scale(wrapper, self._configured, iteration), _OF_NUMBERS)
        names = {id(parameter): name for name, parameter in self._model.named_parameters()}
        self._step = StepProgram(wrapper, names, iteration, self._groups, rates, self._keep)
        if self._step.reason:
            self._leave_out(type(wrapper.optimizer).__name__, self._step.updates, self._step.reason)
        else:
            self._step.before()
        if rates is None:
            why = "the schedule isn't counted in iterations"
            self._leave_out("schedule", len(wrapper.optimizer.param_groups), why)

    @contextmanager
    def listening(self, optimizing: Callable[[], AbstractContextManager[Any]]) -> Iterator[None]:
        wrapper = self._runner.optim_wrapper
        backward, stepping = wrapper.backward, ExitStack()

        def watched(*args: Any, **kwargs: Any) -> None:
            backward(*args, **kwargs)
            with _disable_current_modes():
                self.found += self._gradients.check()
                for name, why in self._gradients.unseen.items():
                    self._leave_out(name, 1, why)
                if not self._step.reason:
                    self._step.after_backward()

        wrapper.backward = watched
        begin = wrapper.optimizer.register_step_pre_hook(lambda *_: stepping.enter_context(optimizing()) and None)
        end = wrapper.optimizer.register_step_post_hook(lambda *_: stepping.close())
        try:
            yield
        finally:
            del wrapper.backward
            begin.remove()
            end.remove()
            stepping.close()

    def after(self, returned: Any) -> None:
        self._tell(self._inputs.check(), _OF_LOADERS)
        self.found += check_total(returned or {}, self._iteration, self._keep)
        if not self._step.reason:
            self.found += self._step.after()

    def _tell(self, checks: Iterable[ShadowCheck], reason: str) -> None:
        """Checks by program that no program of a reproduction's can reproduce, and why."""
        for check in checks:
            self.found.append(check)
            self._keep(check, without_program(reason))

    def _leave_out(self, program: str, results: int, reason: str) -> None:
        """What a program can't check is told, and each of its results counts as a call that wasn't checked."""
        self.skipped[program] = reason
        self.unchecked[program] = results


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
