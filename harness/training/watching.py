"""A training that is watched in place, for a script that can't be turned inside out.

    with harness.watch(model, optimizer, folder="runs/cuda") as watching:
        for batch in loader:
            with watching.step(batch):
                loss = ...
                watching.log(loss=loss)

The first ``iterations`` steps are recorded as those of a case are; later ones run as if nobody watched.
"""

from __future__ import annotations

import os
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from harness.devices.surroundings import git_commit, host, numerics_environment, versions
from harness.recording.clock import set_iteration
from harness.recording.evaluation_probe import EvaluationProbe
from harness.recording.host_draws import require_drawn_on_host
from harness.recording.recorder import Recorder
from harness.recording.start import GENERATED, KEPT
from harness.recording.start_weights import draw_start_weights, weights_digest
from harness.running.around import Around, noise_of, shadowed, together
from harness.running.folder import ORDER, OUTPUT, PROVENANCE, STREAM
from harness.running.order import Order
from harness.shadow.shadowed_iterations import parse_iterations
from harness.store.atomic import require_plain_name, write_text
from harness.store.provenance_file import write_provenance
from harness.store.stream import TraceStream
from harness.training.here import device_here, now
from harness.training.own_loop import OWN_PRECISION, OwnTraining, batch_size, settings_of
from harness.training.seam import Observer, Trained, trained_kind
from harness.values.errors import RunError, UsageError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.sampling import SAMPLING

__all__ = ["REPEAT", "TIER", "Watch", "watch", "watch_training"]

REPEAT, TIER = "ALIGN_REPEAT", "ALIGN_TIER"
"""Environment variables that make a script's run one of a reference's repeats, without a change of the script."""


class Watch:
    """Watches one training; made by ``watch``, entered once.

    Attributes:
        folder: where the run leaves its files.
        iteration: how many steps have been recorded.
    """

    _entered: ClassVar[Watch | None] = None

    def __init__(self, training: Trained, order: Order, folder: Path, provenance: Provenance, draws: bool) -> None:
        self.folder, self.iteration = folder, 0
        self._training, self._order, self._provenance, self._draws = training, order, provenance, draws
        self._stack = ExitStack()
        self._observers: list[Observer] = []
        self._open = self._began = False
        self._logged: dict[str, Any] = {}
        self._batch: Any = None

    @property
    def watching(self) -> bool:
        """Whether there are iterations left to record."""
        return self.iteration < self._order.iterations

    def __enter__(self) -> Watch:
        if Watch._entered is not None:
            raise UsageError(
                "two trainings are watched at once: they would seed each other's draws",
                where="harness.watch",
                observed=f"one into {Watch._entered.folder} is open",
                allowed="one after the other",
            )
        self.folder.mkdir(parents=True, exist_ok=True)
        if (self.folder / STREAM).exists():
            raise RunError(
                "the folder holds a run already", where=self.folder, hint="delete it, or choose another folder"
            )
        write_text(self.folder / OUTPUT, "")
        self._order.write(self.folder / ORDER)
        Watch._entered = self
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        Watch._entered = None
        left_open = self._open
        if self._open:
            self._abandon()
        for observer in self._observers:
            observer.end()
        self._stack.__exit__(kind, None, None)
        if kind is None and left_open:
            raise UsageError(
                "a step was not closed",
                where=f"iteration {self.iteration}",
                allowed="with watching.step(batch): around every step",
            )

    @contextmanager
    def step(self, batch: Any) -> Iterator[None]:
        """Watch one iteration: from before its forward to after the optimizer's step.

        Args:
            batch: what it trains on, or a list of all that it does.

        Raises:
            UsageError: another step is open, or the watch isn't entered.
            TraceError: the batch has no digest, or nothing was logged.
        """
        self.open_step(batch)
        try:
            yield
        except BaseException:
            self._abandon()
            raise
        self.close_step()

    def open_step(self, batch: Any) -> None:
        """Begin an iteration: ``step`` for callbacks, which have no ``with``."""
        self._require(Watch._entered is self, "the watch is not entered", "with harness.watch(…) as watching:")
        self._require(not self._open, "a step is open: the one before was not closed", "one step after the other")
        self._open, self._logged, self._batch = True, {}, batch
        if not self.watching:
            return
        try:
            if not self._began:
                self._begin(batch)
            self._training.iteration = self.iteration
            for observer in self._observers:
                observer.before(self._training, self.iteration, batch)
        except BaseException:
            self._abandon()
            raise

    def log(self, values: Mapping[str, Any] | None = None, **named: Any) -> None:
        """Keep what the open step logs: numbers, or tensors of one element, a loss among them; they may be nested.

        Raises:
            UsageError: no step is open.
        """
        self._require(self._open, "nothing is logged outside of a step", "watching.log within watching.step")
        self._logged |= {**(values or {}), **named}

    def close_step(self) -> None:
        """End an iteration, and write it down."""
        self._require(self._open, "no step is open", "open_step before close_step")
        watched = self.watching  # asked again below, of the next iteration
        if not watched:
            self._open = False
            return
        try:
            logged = self._training.logged(self._logged or None)  # refused before anything is written
            for observer in self._observers:
                observer.after(self._training, self.iteration, self._batch, logged)
        except BaseException:
            self._abandon()
            raise
        self._open = False
        self.iteration += 1
        if not self.watching:
            self._end()

    def _end(self) -> None:
        """Let go of the training: what follows runs as if nobody watched."""
        for observer in self._observers:
            observer.end()
        self._observers.clear()
        self._stack.close()

    def _begin(self, batch: Any) -> None:
        """The files of the run, when the first batch is there."""
        iterations, folder, device = self._order.iterations, self.folder, self._provenance.device
        stream = self._stack.enter_context(TraceStream(folder / STREAM, iterations))
        around: list[Around] = noise_of(self._order)
        if self._order.shadow:
            shadow = self._stack.enter_context(shadowed(self._order, folder, 0, device))
            self._observers.append(shadow)
            around.append(shadow.shadowing)
        asked = self._training.answers
        probe = EvaluationProbe(iterations, together(noise_of(self._order)), copies=True) if asked else None
        self._observers.append(
            Recorder(
                stream,
                iterations,
                self._provenance.seed,
                together(around),
                probe,
                set_iteration,
                host_draws=self._draws,
            )
        )
        write_provenance(folder / PROVENANCE, replace(self._provenance, global_batch=batch_size(batch)))
        for observer in self._observers:
            observer.begin(self._training)
        self._began = True

    def _abandon(self) -> None:
        """Leave the open step as if it had not been: it ended in an error."""
        self._open = False
        for observer in self._observers:
            observer.abandon()

    def _require(self, holds: bool, what: str, allowed: str) -> None:
        if not holds:
            raise UsageError(what, where=f"{self.folder}, iteration {self.iteration}", allowed=allowed)


def watch(
    model: Any,
    optimizers: Any,
    *,
    folder: str | Path,
    iterations: int = 30,
    case: str = "",
    seed: int = 0,
    shadow: str | Sequence[int] = "auto",
    shadow_tier: str = "tf32",
    host_draws: bool = True,
    start: Mapping[str, float] | None = None,
    settings: Mapping[str, Any] | None = None,
    evaluate: Any = None,
) -> Watch:
    """Watch a training in place; enter what is returned.

    With the environment variables ``ALIGN_TIER`` (``fp32``, ``tf32``, …) and ``ALIGN_REPEAT`` (0, 1, …) the run is a
    reference's repeat: its rounding is varied, and it goes to ``FOLDER/TIER-REPEAT``.

    Args:
        model: what is trained, on its device; of several modules name → module.
        optimizers: one, several, or name → optimizer.
        folder: where the run leaves its files; it holds no run yet.
        iterations: how many steps are recorded, from the first one.
        case: the name of what is trained, equal on both sides; the script's file where empty.
        seed: of what is drawn on the host; each recorded iteration begins at one of its own.
        shadow: the iterations whose operations are computed again in float64 on the host: ``auto``, ``none``, or
            numbers; each costs about six plain ones on a CPU.
        shadow_tier: the precision tier that they are judged at.
        host_draws: whether dropout's masks and other draws come from the host, equal on all devices. Without it two
            devices that draw are no comparable runs.
        start: settings of generated start weights (``harness.recording.start_weights``); None keeps the model's.
        settings: what must be equal beside the optimizers' own settings: name → a plain value.
        evaluate: see ``Training.evaluate``.

    Raises:
        CaseError: the training can't be watched; the message says why.
        UsageError: an argument is not valid.
    """
    training = OwnTraining(model, optimizers, evaluate, f"harness.watch into {folder}")
    return watch_training(
        training,
        settings_of(training, settings or {}),
        folder=folder,
        iterations=iterations,
        case=case,
        seed=seed,
        shadow=shadow,
        shadow_tier=shadow_tier,
        host_draws=host_draws,
        start=start,
    )


def _name_of(script: Path) -> str:
    """What a training is called by its script: that of a package, by ``python -m``, is the package's ``__main__``."""
    if script.suffix != ".py":
        return "watched"
    return script.resolve().parent.name if script.stem == "__main__" else script.stem


def watch_training(
    training: Trained,
    settings: Mapping[str, str],
    *,
    folder: str | Path,
    iterations: int = 30,
    case: str = "",
    seed: int = 0,
    shadow: str | Sequence[int] = "auto",
    shadow_tier: str = "tf32",
    host_draws: bool = True,
    start: Mapping[str, float] | None = None,
) -> Watch:
    """Watch a training of any kind in place; see ``watch`` for the arguments.

    Args:
        training: which.
        settings: what must be equal, as text.
        folder: of the run.
        iterations: to record.
        case: name.
        seed: of the host's draws.
        shadow: iterations.
        shadow_tier: that they are judged at.
        host_draws: whether draws come from the host.
        start: of generated weights; None keeps them.

    Raises:
        CaseError: a kernel of the model draws inside itself.
        UsageError: an argument is not valid.
    """
    where = f"harness.watch into {folder}"
    if type(iterations) is not int or iterations < 1:
        raise UsageError("there is no such number of iterations", where=where, observed=iterations, allowed="1 or more")
    if host_draws:
        require_drawn_on_host(training.model)
    script = Path(sys.argv[0])
    name = require_plain_name(case or _name_of(script), "a case")
    tier, repeat = _repeat()
    device = device_here(trained_kind(training.model), exactly=bool(tier))
    if start is not None:
        draw_start_weights(training.model, seed, **dict(start))  # type: ignore[arg-type]  # numbers alone
    asked = shadow if isinstance(shadow, str) else ",".join(map(str, shadow)) or "none"
    plain = tier in {"", "fp32"} and not repeat
    command = shlex.join([Path(sys.executable).name, *sys.argv])
    order = Order(
        config=name,
        device="emulated" if device.emulated else device.kind,
        profile=device.profile,
        iterations=iterations,
        noise_tier="" if plain else tier,
        noise_seed=repeat,
        command=command,
        shadow=() if tier else parse_iterations(asked, iterations),
        shadow_tier=shadow_tier,
        trusted=bool(tier),
    )
    provenance = Provenance(
        case=name,
        settings=settings,
        weights=weights_digest(training.model),
        seed=seed,
        start=KEPT if start is None else GENERATED,
        sampling=SAMPLING,
        precision=OWN_PRECISION,
        world_size=1,
        global_batch=0,
        iterations=iterations,
        device=device,
        versions=versions(),
        environment=numerics_environment(),
        host=host(torch.get_num_threads()),
        commit=git_commit(Path(sys.argv[0]).resolve().parent),
        command=command,
        started=now(),
    )
    place = Path(folder) / f"{tier}-{repeat}" if tier else Path(folder)
    return Watch(training, order, place, provenance, host_draws)


def _repeat() -> tuple[str, int]:
    """Which of a reference's repeats the environment asks for; no tier where it asks for none."""
    tier, repeat = os.environ.get(TIER, ""), os.environ.get(REPEAT, "")
    if not tier and not repeat:
        return "", 0
    tier = tier or TIERS[0]
    if tier not in TIERS or not (repeat or "0").isdecimal():
        raise UsageError(
            "the environment asks for no repeat that there is",
            where=f"${TIER}, ${REPEAT}",
            observed=f"{tier!r}, {repeat!r}",
            allowed=f"{', '.join(TIERS)}, and a number from 0",
        )
    return tier, int(repeat or 0)
