"""An experiment with a loop of the user's own: a function's training on one device, recorded. Lives in the child."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np
import torch

from harness.devices.surroundings import git_commit, host, numerics_environment, versions
from harness.recording.clock import set_iteration
from harness.recording.evaluation_probe import EvaluationProbe
from harness.recording.host_draws import HostDraws, require_drawn_on_host
from harness.recording.recorder import Recorder
from harness.recording.restarts import Restarts, piece_seed
from harness.recording.start import GENERATED, KEPT
from harness.recording.start_weights import draw_start_weights, weights_digest
from harness.running.around import noise_of, shadowed, together
from harness.running.folder import PROVENANCE, STREAM
from harness.running.order import EAGER, Order
from harness.running.own_cases import load_function, source_digest
from harness.running.settings_of_config import ONE_PIECE, restart_settings
from harness.store.provenance_file import write_provenance
from harness.store.stream import TraceStream
from harness.training.declaring import Training
from harness.training.here import now
from harness.training.own_faults import attach_fault
from harness.training.own_loop import OWN_PRECISION, OwnTraining, batch_size, settings_of
from harness.training.seam import Observer
from harness.values.case import Case
from harness.values.errors import CaseError, UsageError
from harness.values.provenance import Device, Provenance
from harness.values.sampling import SAMPLING

__all__ = ["run_own_case", "seed_everything"]


def run_own_case(order: Order, case: Case, device: Device, faults: tuple[Any, ...], folder: Path) -> None:
    """Train a user's case as ordered, streaming its trace and its provenance to a folder.

    Args:
        order: what to run.
        case: a case of a user's file.
        device: the opened device.
        faults: the faults that were put in; those of the optimizer are attached here.
        folder: where ``trace.jsonl`` and ``provenance.json`` go.

    Raises:
        CaseError: the function returns no training, or one that can't be watched.
        UsageError: the order asks for what only a config has.
        TraceError: a batch has no digest, or a step logs no loss.
    """
    _require_own(order)
    iterations = order.iterations or case.iterations
    where = case.address
    seed_everything(case.seed)
    with HostDraws():  # a model that is initialized on the device begins equal on all
        declared = load_function(case)(torch.device(device.kind))
    if not isinstance(declared, Training):
        raise CaseError(
            "the function returns no training",
            where=where,
            observed=type(declared).__name__,
            allowed="harness.Training(model, optimizers, batches=…, step=…)",
        )
    training = OwnTraining(declared.model, declared.optimizers, declared.evaluate, where, device.kind)
    require_drawn_on_host(training.model)
    pieces = case.piece_starts(iterations)

    def draw(model: torch.nn.Module, piece: int) -> None:
        if not case.own_start:
            draw_start_weights(model, piece_seed(case.seed, piece), **dict(case.start))  # type: ignore[arg-type]  # numbers alone

    draw(training.model, 0)
    settings = {**settings_of(training, declared.settings), **restart_settings(case)}
    batches = _endless(declared.batches, iterations, where)
    # Fetched before the run begins: its size is part of where the run comes from.
    batch = next(batches)
    provenance = Provenance(
        case=case.name,
        settings=settings,
        weights=weights_digest(training.model),
        defaults=ONE_PIECE,
        seed=case.seed,
        start=KEPT if case.own_start else GENERATED,
        sampling=SAMPLING,
        precision=OWN_PRECISION,
        world_size=1,
        global_batch=batch_size(batch),
        iterations=iterations,
        device=device,
        versions={**versions(), "case file": source_digest(case)},
        environment=numerics_environment(),
        host=host(torch.get_num_threads()),
        commit=git_commit(case.config.parent),
        command=order.command,
        started=now(),
    )
    with ExitStack() as stack:
        stream = stack.enter_context(TraceStream(folder / STREAM, iterations))
        observers: list[Observer] = [Restarts(pieces, draw)]
        around = noise_of(order)
        if order.shadow:
            shadow = stack.enter_context(shadowed(order, folder, 0, device))
            observers.append(shadow)
            around.append(shadow.shadowing)
        probe = (
            EvaluationProbe(iterations, together(noise_of(order)), copies=True, piece_starts=pieces)
            if declared.evaluate is not None
            else None
        )
        recorder = Recorder(stream, iterations, case.seed, together(around), probe, set_iteration, piece_starts=pieces)
        observers.append(recorder)
        for fault in faults:
            attach_fault(fault, training)
        write_provenance(folder / PROVENANCE, provenance)
        for observer in observers:
            observer.begin(training)
        for iteration in range(iterations):
            batch = batch if iteration == 0 else next(batches)
            training.iteration = iteration
            for observer in observers:
                observer.before(training, iteration, batch)
            returned = declared.step(batch)
            for observer in observers:
                observer.after(training, iteration, batch, returned)


def seed_everything(seed: int) -> None:
    """Seed the generators of Python, NumPy and PyTorch that a training may draw from."""
    random.seed(seed)
    np.random.seed(seed)  # the legacy generator is what augmentations draw from
    torch.manual_seed(seed)


def _require_own(order: Order) -> None:
    """What only a config has is refused: nothing is dropped in silence."""
    asked = {
        "--launcher": order.launcher != "none",
        "--amp": order.amp,
        "--compile": order.compile not in {"", EAGER},
        "--resume": bool(order.resume),
    }
    hints = {
        "--amp": "enter torch.autocast in the case's step",
        "--compile": "record and verify the eager model",
        "--launcher": "verify one process; several are watched in configs alone",
    }
    for option, given in asked.items():
        if given:
            raise UsageError("a case of your own loop has no such option", where=option, hint=hints.get(option))
    if order.double or order.training:
        raise UsageError("a case of your own loop is recorded and verified alone", where=order.config)


def _endless(batches: Iterable[Any], iterations: int, where: str) -> Iterator[Any]:
    """One batch after another; what can be iterated again begins anew where it ends."""
    count = 0
    while True:
        began = count
        for batch in batches:
            yield batch
            count += 1
        if count == began or iter(batches) is batches:
            raise CaseError(
                "the batches end before the run does" if count else "there are no batches",
                where=where,
                observed=f"{count} batches",
                allowed=f"{iterations}, or something that can be iterated again, as a DataLoader",
            )
