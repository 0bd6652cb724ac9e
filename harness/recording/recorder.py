"""What records a run: everything that judging needs of an iteration, and nothing that changes it."""

from __future__ import annotations

import dataclasses
import math
import resource
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any

import torch
from torch.utils._python_dispatch import _disable_current_modes

from harness.devices.device_registry import type_of_kind
from harness.devices.device_type import DeviceType
from harness.recording.batches import batch_digest
from harness.recording.dropout import HostDropout
from harness.recording.evaluation_probe import EvaluationProbe, add_up
from harness.recording.generator_draws import DeviceDraws, next_host_draw
from harness.recording.host_draws import HostDraws
from harness.recording.local_gradients import LocalGradients
from harness.recording.norms import StateNorms
from harness.recording.processes import HostGroup, parameters_digest
from harness.recording.rates import LearningRates
from harness.recording.reductions import BlockNorms, block_norms, fetch, total
from harness.recording.restarts import counted_in_pieces
from harness.rules.rank_agreement import RankRow, rank_signal
from harness.store.stream import TraceStream
from harness.training.seam import Trained, trained_kind
from harness.training.steps import listen
from harness.values.trace import PIECE

__all__ = ["Recorder", "state_iterations"]

_SEED_STRIDE = 1_000_003
"""A prime: seeds of one run's iterations don't meet those of the next seed's."""


def state_iterations(planned: int, piece_starts: Sequence[int] = (0,)) -> frozenset[int]:
    """The iterations whose per-tensor norms are kept: 0 and the powers of two, counted within each piece, and the last.

    Faults show in the state at once or pile up, so that few iterations carry what all of them do.

    Args:
        planned: iterations of the run.
        piece_starts: the iterations at which it begins, and begins anew.
    """
    counts = [0, *(2**power for power in range(planned.bit_length()))]
    return frozenset({planned - 1, *counted_in_pieces(counts, piece_starts, planned)})


class Recorder:
    """Streams each iteration's loss, components, norms, batch digest and cost to disk.

    Before each iteration the host's generator is seeded from the run's seed and the iteration's number, and dropout
    draws its masks there: equal on every device.

    Args:
        stream: where to write; None on all but one process of several.
        planned: how many iterations are recorded.
        seed: of the host's draws.
        around: makes what is entered around each iteration, for example a rounding; called with its number.
        probe: what asks the model in evaluation mode; None where nothing does.
        on_iteration: called with the number of each iteration before it begins.
        host_draws: whether dropout's masks and other draws come from the host.
        on_ranks: called in the recording one of several processes with what each of them brought.
        piece_starts: the iterations at which the run begins, and begins anew; recorded where there are several.
    """

    def __init__(
        self,
        stream: TraceStream | None,
        planned: int,
        seed: int,
        around: Callable[[int], AbstractContextManager[Any]] | None = None,
        probe: EvaluationProbe | None = None,
        on_iteration: Callable[[int], None] | None = None,
        *,
        host_draws: bool = True,
        on_ranks: Callable[[RankRow], None] | None = None,
        piece_starts: Sequence[int] = (0,),
    ) -> None:
        self._piece_starts = piece_starts
        self._draws_on_host = host_draws
        self._on_ranks = on_ranks
        self._listening: list[Callable[[], None]] = []
        self._local: LocalGradients | None = None  # an end without a beginning has nothing to let go of
        self._stream = stream
        self._seed = seed
        self._around = around
        self._probe = probe
        self._on_iteration = on_iteration
        self._state_iterations = state_iterations(planned, piece_starts)
        self._contexts = ExitStack()
        self._gradients: list[BlockNorms] = []
        self._scales: list[float] = []
        self._learning_rates: dict[str, float] = {}
        self._groups: dict[str, tuple[int, ...]] | None = None
        self._digest = ""
        self._host_draws: dict[str, float] = {}
        self._started = 0.0
        self._last = -2  # no iteration follows it

    def begin(self, training: Trained) -> None:
        """Find the state to watch, and listen to the optimizers."""
        self._training, self._model = training, training.model
        self._norms = StateNorms(self._model)
        kind = trained_kind(self._model)
        self._device, self._draws = type_of_kind(kind), DeviceDraws(kind)
        self._listening = [listen(optimizer, self._before_step) for optimizer in training.optimizers]
        self._processes = HostGroup.join()
        several = self._processes is not None
        self._local = LocalGradients.of(training.distributed, self._model) if several else None
        self._rates = LearningRates(self._stream.groups if self._stream is not None else None)

    def before(self, training: Trained, iteration: int, batch: Any) -> None:
        """Hold equal what must be equal, and keep what the iteration will overwrite."""
        torch.default_generator.manual_seed((self._seed * _SEED_STRIDE + iteration) % 2**63)
        if self._on_iteration is not None:
            self._on_iteration(iteration)
        self._digest = batch_digest(batch)
        if self._probe is not None:
            self._probe.keep(batch)
        if self._stream is not None:
            if iteration != self._last + 1 or iteration in self._piece_starts:
                self._norms.start_here()
            else:
                self._norms.follow()
            self._last = iteration
        self._draws.before()
        self._gradients, self._scales = [], []
        if self._local is not None and iteration in self._state_iterations:
            self._local.listen()
        self._learning_rates, self._groups = self._rates.read(*training.optimizers)
        self._started = time.perf_counter()
        if self._draws_on_host:
            self._contexts.enter_context(HostDraws())
            self._contexts.enter_context(HostDropout())
        if self._around is not None:
            self._contexts.enter_context(self._around(iteration))

    def after(self, training: Trained, iteration: int, batch: Any, returned: Any) -> None:
        """Write the iteration down."""
        self._device.end_step()
        self._host_draws = next_host_draw()
        self._contexts.close()
        losses = training.logged(returned)
        keeps_state = iteration in self._state_iterations
        of_ranks: dict[str, float] = {}
        if self._processes is not None:
            held = parameters_digest(self._model) if keeps_state else ""
            losses, self._digest, ranks = self._processes.share(losses, self._digest, held)
            if self._local is not None and keeps_state:
                ranks = self._processes.share_gradients(self._local, ranks)
                of_ranks = {rank_signal(rank): norm for rank, norm in enumerate(ranks.gradients)}
            if self._stream is not None and self._on_ranks is not None:
                self._on_ranks(dataclasses.replace(ranks, iteration=iteration))
        # Before the model is evaluated, so that the time is the iteration's own.
        measured = self._measure(losses, iteration, keeps_state=keeps_state) if self._stream is not None else None
        evaluation = self._evaluate(iteration)
        if self._stream is not None and measured is not None:
            signals, state = measured
            kept = {**state, **of_ranks} if keeps_state else None
            self._stream.append(iteration, signals, self._digest, kept, evaluation, self._groups)

    def abandon(self) -> None:
        """Leave the open iteration, which isn't written."""
        self._contexts.close()

    def end(self) -> None:
        """Let go of the optimizers."""
        for let_go in self._listening:
            let_go()
        self._listening = []
        if self._local is not None:
            self._local.end()

    def _measure(
        self, losses: dict[str, torch.Tensor], iteration: int, *, keeps_state: bool
    ) -> tuple[dict[str, float], dict[str, float]]:
        """The iteration's signals, and the norms of the state; fetched at once, which waits for the device."""
        # Perhaps no optimizer stepped: gradients are accumulated over several iterations, or a scaler skipped the step.
        gradients = self._gradients or [self._norms.gradients(self._norms.held())]
        updates, samples, scales = self._norms.sampled()
        buffers = self._norms.buffers()
        weights = self._norms.weights() if keeps_state else {}
        whole = self._norms.sampled_whole() if keeps_state else {}
        unread = [weight for name, weight in weights.items() if name not in whole]
        loss_values, update_norms, sample_norms, weight_norms, buffer_norms, *gradient_norms = fetch(
            list(losses.values()),
            updates if updates is not None else [],
            samples,
            block_norms(unread),
            self._norms.buffer_norms(),
            *gradients,
        )
        others = iter(weight_norms)
        state = {name: sample_norms[whole[name]] if name in whole else next(others) for name in weights}
        state |= zip(buffers, buffer_norms, strict=True)
        signals = {
            **dict(zip(losses, loss_values, strict=True)),
            **self._learning_rates,
            "grad_norm": _of_gradients(gradient_norms, self._scales),
            **({"update_norm": total(update_norms, scales)} if updates is not None else {}),
            "param_norm": total(sample_norms, scales),
            "bn_mean_norm": _total_of("mean/", state),
            "bn_var_norm": _total_of("var/", state),
            "seconds": time.perf_counter() - self._started,
            "memory": _peak_memory(self._device),
            **self._draws.signal(),
            **self._host_draws,
            **self._piece(iteration),
        }
        return signals, state

    def _piece(self, iteration: int) -> dict[str, float]:
        """The number of the piece, where there are several."""
        several = len(self._piece_starts) > 1
        return {PIECE: float(bisect_right(self._piece_starts, iteration) - 1)} if several else {}

    def _evaluate(self, iteration: int) -> dict[str, float] | None:
        """What all processes' models answer in evaluation mode, where it is asked for after this iteration."""
        answer = self._probe.ask(self._training, iteration) if self._probe is not None else None
        if answer is None or self._processes is None:
            return answer
        return add_up(self._processes.gather(answer))

    def _before_step(self, optimizer: torch.optim.Optimizer) -> None:
        """The gradients as an optimizer gets them: averaged over processes, unscaled, clipped."""
        if self._stream is not None:
            trained = [parameter for group in optimizer.param_groups for parameter in group["params"]]
            with _disable_current_modes():  # what watches the step's operations need not watch ours
                scale, overflowed = (_number(getattr(optimizer, name, None)) for name in ("grad_scale", "found_inf"))
                if not overflowed:
                    self._gradients.append(self._norms.gradients(trained))
                    self._scales.append(scale or 1.0)


def _of_gradients(norms: Sequence[Sequence[float]], scales: Sequence[float]) -> float:
    """The norm of all gradients of an iteration; 0 where they overflowed and no optimizer took them.

    A loss scaler skips such a step, and so does a loop that looks by itself: what it throws away isn't trained on.

    Args:
        norms: of each step's gradients; of those that are there where none was taken.
        scales: what each step's are multiplied by, which a fused step divides by itself; none where none was taken.
    """
    if scales:
        return total([norm / scale for of_step, scale in zip(norms, scales, strict=True) for norm in of_step])
    norm = total([norm for of_step in norms for norm in of_step])
    return norm if math.isfinite(norm) else 0.0


def _number(scalar: torch.Tensor | None) -> float:
    return 0.0 if scalar is None else float(scalar)


def _total_of(kind: str, state: dict[str, float]) -> float:
    return total([norm for name, norm in state.items() if name.startswith(kind)])


def _peak_memory(device: DeviceType) -> float:
    """MiB: the device's peak allocation, or the process's peak resident size where the device doesn't tell."""
    peak = device.peak_memory()
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10 if peak is None else peak / 2**20
