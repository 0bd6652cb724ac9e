"""An experiment: a case's Runner on one device, recorded. Lives in the child process."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.runner import Runner

import models
from harness.devices.device_registry import type_of_kind
from harness.devices.mmengine_adapter import join_process_group, leave_process_group, teach_mmengine
from harness.devices.surroundings import git_commit, host, numerics_environment, versions
from harness.recording.clock import set_iteration
from harness.recording.evaluation_probe import EvaluationProbe
from harness.recording.processes import HostGroup
from harness.recording.recorder import Recorder
from harness.recording.restarts import Restarts
from harness.recording.start import StartHook, pretrained_parts
from harness.recording.start_weights import weights_digest
from harness.running.around import noise_of, shadowed, together
from harness.running.checkpoints import PlainCheckpointHook, find_checkpoint
from harness.running.compiling import compile_in_place, compile_settings
from harness.running.defaults_of_config import default_settings
from harness.running.folder import PROVENANCE, RANKS, STREAM, shadow_file
from harness.running.late_visualizer import LateVisualizer
from harness.running.libraries import missing_library
from harness.running.order import Order
from harness.running.pulse_hook import PulseHook
from harness.running.settings_of_config import ONE_PIECE, effective_settings, restart_settings
from harness.running.validation import add_validation
from harness.store.atomic import write_bytes
from harness.store.provenance_file import write_provenance
from harness.store.rank_stream import append_ranks
from harness.store.stream import TraceStream
from harness.training.mmengine_runner import ObserverHook
from harness.training.unseen_code import COMPILER
from harness.values.case import Case
from harness.values.errors import CaseError
from harness.values.provenance import Device, Provenance
from harness.values.sampling import SAMPLING

__all__ = ["require_known_loop", "require_steady_schedule", "run_experiment"]


def run_experiment(
    order: Order,
    case: Case,
    config: Config,
    device: Device,
    faults: tuple[Any, ...],
    folder: Path,
    hooks: Sequence[Any] = (),
) -> None:
    """Train a case as ordered, streaming its trace and its provenance to a folder.

    Args:
        order: what to run.
        case: the case of ``config``.
        config: the resolved config.
        device: the opened device.
        faults: the faults that were put in; those of the optimizer, schedule and data are attached here.
        folder: where ``trace.jsonl`` and ``provenance.json`` go.
        hooks: further hooks of mmengine's, registered at their own priority.

    Raises:
        CaseError: the config can't be built.
        RunError: there is no checkpoint to go on from.
        TraceError: the trace doesn't reach as far as the checkpoint.
    """
    # First of all: `_adapt` changes the config, and what is compared is what the user wrote.
    settings, defaults = effective_settings(config), {**ONE_PIECE, **default_settings(config)}
    require_known_loop(config)
    given = pretrained_parts(config.model)
    iterations = _iterations(order, case, config)
    pieces = (0,) if order.training else case.piece_starts(iterations)
    settings |= {} if order.training else restart_settings(case)
    _adapt(config, order, case, device, iterations, folder)
    runner, device = _open_runner(order, config, device, iterations)
    with ExitStack() as stack:
        resumed = bool(order.resume)
        writing = TraceStream(folder / STREAM, iterations, resumed=resumed) if runner.rank == 0 else None
        stream = stack.enter_context(writing) if writing is not None else None

        def begin(runner: Runner, model: torch.nn.Module, start: str) -> None:
            if not order.training:
                sized = hasattr(runner.train_dataloader.dataset, "__len__")  # a stream of samples has no epoch
                epoch = len(runner.train_dataloader) if sized else iterations
                require_steady_schedule(config, epoch, iterations)
            if stream is not None:
                if resumed:
                    stream.keep_before(runner.iter)
                origin = _provenance(runner, model, order, case, device, settings, iterations)
                write_provenance(folder / PROVENANCE, replace(origin, defaults=defaults, start=start))

        start = StartHook(case.seed, case.start, given, begin)
        runner.register_hook(start, priority="VERY_HIGH")
        runner.register_hook(
            ObserverHook(Restarts(pieces, start.draw)), priority="VERY_HIGH"
        )  # before all that observes
        around = noise_of(order)
        asked = case.evaluate and not order.training
        probe = EvaluationProbe(iterations, together(noise_of(order)), piece_starts=pieces) if asked else None
        if order.shadow:
            shadow = stack.enter_context(shadowed(order, folder, runner.rank, device))
            runner.register_hook(ObserverHook(shadow), priority="VERY_HIGH")
            around.append(shadow.shadowing)
        seed = case.seed + (runner.rank if (config.get("randomness") or {}).get("diff_rank_seed") else 0)
        on_ranks = None if order.training else partial(append_ranks, folder / RANKS)
        recorder = Recorder(
            stream,
            iterations,
            seed,
            together(around),
            probe,
            set_iteration,
            on_ranks=on_ranks,
            piece_starts=pieces,
        )
        runner.register_hook(ObserverHook(recorder), priority="VERY_HIGH")
        pulse = [PulseHook(folder, runner.rank)] if order.launcher != "none" else []
        for hook in (*hooks, *pulse, *([PlainCheckpointHook()] if order.training else [])):
            runner.register_hook(hook, priority=hook.priority)
        for fault in faults:
            fault.attach(runner)
        runner.train()
    if order.nodes > 1 and order.shadow:
        _bring_shadows(order, folder, runner.rank)
    if order.launcher != "none":
        leave_process_group()


def _bring_shadows(order: Order, folder: Path, rank: int) -> None:
    """The shadow checks of other machines' processes, brought to the one that is judged."""
    group = HostGroup.join()
    file = shadow_file(folder, rank)
    if group is None:
        return
    told = group.gather((rank, file.read_bytes() if order.node and file.exists() else b""))
    if order.node == 0 and rank == 0:
        for theirs, content in told:
            if content:
                write_bytes(shadow_file(folder, theirs), content)


def _open_runner(order: Order, config: Config, device: Device, iterations: int) -> tuple[Runner, Device]:
    """The Runner of a config that was adapted, in its process group where it has one; and the device as it computes."""
    # Taken out of the config: mmengine would compile when it builds, also what shadow ops have to see eager.
    compiled = compile_settings(order, config.pop("compile", None))
    teach_mmengine(device.kind)
    if order.launcher != "none":
        join_process_group(device.kind)
    runner = _build(config)
    if order.launcher != "none" and not type_of_kind(device.kind).synchronizes_norms:
        _require_no_sync_norm(runner.model, order)
    if order.double:
        _compute_in_double(runner)
    if compiled:
        compile_in_place(runner, compiled, order, iterations)
        device = replace(device, build={**device.build, COMPILER: str(compiled.get("backend", "inductor"))})
    return runner, device


def _provenance(
    runner: Any,
    model: torch.nn.Module,
    order: Order,
    case: Case,
    device: Device,
    settings: dict[str, str],
    iterations: int,
) -> Provenance:
    autocast = {torch.float16: "amp-fp16", torch.bfloat16: "amp-bf16"}
    precision = autocast.get(getattr(runner.optim_wrapper, "cast_dtype", torch.float32), "fp32")
    return Provenance(
        case=case.name,
        settings=settings,
        weights=weights_digest(model),
        seed=case.seed,
        sampling=SAMPLING,
        precision="fp64" if order.double else precision,
        world_size=runner.world_size,
        global_batch=runner.world_size * _batch_size(runner.train_dataloader),
        iterations=iterations,
        device=device,
        data_root=", ".join(_data_roots(runner.cfg.train_dataloader)),
        versions=versions(),
        environment=numerics_environment(),
        host=host(torch.get_num_threads()),
        commit=git_commit(Path(models.__file__).parent, but_for="baselines"),  # no run follows from them
        command=order.command,
        started=datetime.now(timezone.utc).isoformat(timespec="seconds"),
    )


def _batch_size(loader: Any) -> int:
    """Images a batch; 0 where nothing tells.

    A loader that is given a batch sampler has no batch size of its own: mmdetection's recipes group images by their
    aspect ratio so.
    """
    size = loader.batch_size
    if size is None:
        size = getattr(loader.batch_sampler, "batch_size", None)
    return size if isinstance(size, int) else 0


def _data_roots(value: Any) -> Iterator[str]:
    """Every ``data_root`` in the loader's config; without one the data are generated."""
    if isinstance(value, Mapping):
        if "data_root" in value:
            yield "generated" if value["data_root"] is None else str(value["data_root"])
        for inner in value.values():
            yield from _data_roots(inner)
    elif isinstance(value, (list, tuple)):
        for inner in value:
            yield from _data_roots(inner)


def _iterations(order: Order, case: Case, config: Config) -> int:
    if not order.training:
        return order.iterations or case.iterations
    loop = config.get("train_cfg") or {}
    iterations = order.iterations or loop.get("max_iters")
    if not iterations:
        raise CaseError(
            "the config doesn't say how many iterations it has",
            where=f"{order.config}: train_cfg.max_iters",
            hint="--iterations N",
        )
    return int(iterations)


def _adapt(config: Config, order: Order, case: Case, device: Device, iterations: int, folder: Path) -> None:
    """Make the config run for the iterations asked for, here; without what isn't watched."""
    config.work_dir = str(folder)
    config.launcher = order.launcher
    config.randomness = {**(config.get("randomness") or {}), "seed": case.seed}
    config.train_cfg = {**_loop(config, order), "type": "IterBasedTrainLoop", "max_iters": iterations}
    if order.training:
        add_validation(config, order.val_interval)
    else:
        for phase in ("val", "test"):
            for part in ("cfg", "dataloader", "evaluator"):
                config[f"{phase}_{part}"] = None
    if order.resume and (checkpoint := find_checkpoint(order.resume, folder)):
        config.resume, config.load_from = True, str(checkpoint)
    if order.amp:
        config.optim_wrapper["type"] = "AmpOptimWrapper"
    # mmengine hands DistributedDataParallel the rank as the device's index, which means nothing to these devices.
    if order.launcher != "none" and not type_of_kind(device.kind).ranks_are_indices:
        wrapper = {"type": "MMDistributedDataParallel", "broadcast_buffers": False, "device_ids": None}
        config.model_wrapper_cfg = wrapper
    if not order.training:
        config.default_hooks = {"logger": None, "checkpoint": None, "timer": None}
        config.log_level = "WARNING"
        config.visualizer = {"type": LateVisualizer.__name__, "vis_backends": [{"type": "LocalVisBackend"}]}


def _loop(config: Config, order: Order) -> dict[str, Any]:
    """The settings of the user's loop, where the training is the user's and the loop counts iterations."""
    loop = dict(config.get("train_cfg") or {})
    return loop if order.training and loop.get("type") == "IterBasedTrainLoop" else {}


def require_known_loop(config: Config) -> None:
    """A case's iterations are counted by mmengine's own loop; another would be left out in silence.

    Raises:
        CaseError: the config's loop is none of mmengine's two.
    """
    kind = (config.get("train_cfg") or {}).get("type")
    name = kind if isinstance(kind, str) or kind is None else kind.__name__
    if name not in {None, "IterBasedTrainLoop", "EpochBasedTrainLoop"}:
        raise CaseError(
            "the config trains by a loop of its own, and a case is counted by mmengine's",
            where=f"{config.filename}: train_cfg.type",
            observed=name,
            allowed="IterBasedTrainLoop, EpochBasedTrainLoop",
            hint='watch it in place: custom_hooks=[dict(type="AlignmentHook", folder="runs/cuda")]; docs/own-loop.md',
        )


def require_steady_schedule(config: Mapping[str, Any], epoch: int, iterations: int) -> None:
    """A schedule that steps at the end of an epoch doesn't step in a run that has none; in a longer one it would.

    Args:
        config: the config.
        epoch: iterations that an epoch has.
        iterations: of the run.

    Raises:
        CaseError: the run is longer than an epoch, and the schedule is counted in epochs.
    """
    schedulers = config.get("param_scheduler") or []
    schedulers = schedulers if isinstance(schedulers, (list, tuple)) else [schedulers]
    by_epoch = [one for one in schedulers if one.get("by_epoch", True) and not one.get("convert_to_iter_based")]
    if by_epoch and iterations > epoch:
        raise CaseError(
            "the schedule steps at the end of each epoch, and the run is longer than one: its steps would be left out",
            where=f"param_scheduler: {by_epoch[0].get('type')}",
            observed=f"{iterations} iterations, {epoch} an epoch",
            allowed=f"at most {epoch} iterations, or a schedule with by_epoch=False or convert_to_iter_based=True",
            hint=f"--iterations {epoch}",
        )


def _build(config: Config) -> Runner:
    try:
        return Runner.from_cfg(config)
    except (KeyError, TypeError, ValueError, AssertionError, ImportError) as failure:
        if isinstance(failure, ImportError) and (known := missing_library(failure)):
            raise known from failure
        raise CaseError(
            "mmengine can't build a Runner from the config",
            where=config.filename,
            observed=f"{type(failure).__name__}: {failure}",
        ) from failure


def _require_no_sync_norm(model: torch.nn.Module, order: Order) -> None:
    """PyTorch has no synchronized batch norm for the CPU, nor every backend."""
    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.SyncBatchNorm)]
    if names:
        raise CaseError(
            "this device has no synchronized batch norm: several processes need another one for this model",
            where=f"{order.config} on {order.device}",
            observed=f"{len(names)} SyncBatchNorm layers, the first {names[0].removeprefix('module.')}",
            hint="--device emulated, or --cfg-options model.norm_cfg.type=BN for norms of one process each",
        )


def _compute_in_double(runner: Runner) -> None:
    """Parameters, buffers and every floating input of the model in float64."""

    def widen(
        _: torch.nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> tuple[tuple[Any, ...], dict[str, Any]]:
        return tuple(map(_widened, args)), {name: _widened(value) for name, value in kwargs.items()}

    runner.model.double()
    runner.model.register_forward_pre_hook(widen, with_kwargs=True)


def _widened(value: Any) -> Any:
    if isinstance(value, torch.Tensor):
        return value.double() if value.is_floating_point() else value
    if isinstance(value, (list, tuple)):
        return type(value)(map(_widened, value))
    return value
