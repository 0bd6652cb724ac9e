"""Where a run comes from: what must match for two runs to be comparable, and what may differ and is shown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from harness.values.bounds import Count

__all__ = ["Device", "Provenance"]


@dataclass(frozen=True)
class Device:
    """What a run ran on.

    Args:
        kind: ``cpu``, ``cuda`` or ``sdaa``: the torch device type.
        name: the vendor's name of the card or processor.
        emulated: whether the device is emulated in software: no emulated run ever counts as a real one.
        profile: the emulated device's numerics profile, or the tier of a reference's rounding; empty where neither
            applies.
        fault: the fault that was put in on purpose; empty for none.
        build: the accelerator's table of versions (driver, runtime, libraries …).
    """

    kind: str
    name: str
    emulated: bool = False
    profile: str = ""
    fault: str = ""
    build: Mapping[str, str] = field(default_factory=dict)

    @property
    def label(self) -> str:
        """A short name for tables and captions: says "emulated" wherever that is what it was."""
        parts = [f"emulated {self.kind}" if self.emulated else self.kind]
        parts += [self.profile] if self.profile else []
        parts += [f"fault {self.fault}"] if self.fault else []
        return ", ".join(parts)


@dataclass(frozen=True)
class Provenance:
    """Everything that must match, or be known to differ, for two runs to be comparable.

    Args:
        case: the case's name.
        settings: the resolved config, flattened: ``optim_wrapper.optimizer.lr`` → text of its value. Without what can't
            change the training (paths, logging, launcher).
        weights: digest of the initial weights.
        defaults: what a setting of that name is where the config doesn't say it, by the signature of what is built;
            empty where that isn't known.
        seed: of data order, augmentation and dropout.
        start: where the initial weights come from, in words; empty where that wasn't recorded.
        sampling: which elements the norms of updates and parameters are estimated from, in words; empty where it was
            every n-th.
        precision: what the run computes in by its own setting: ``fp32``, ``fp64``, ``amp-fp16``, ``amp-bf16``.
        world_size: processes.
        global_batch: images an iteration, over all processes.
        iterations: planned.
        device: what it ran on.
        data_root: where the training data lay; ``generated`` where it was. Other places may hold equal data: the
            batches decide.
        versions: of python, torch, mmengine, mmcv, numpy and this project.
        environment: every environment variable that changes numerics or placement, and was set.
        host: machine architecture and thread count.
        commit: of the working tree; empty outside a git checkout; ends with "-dirty" where files were changed.
        command: what reproduces the run.
        started: UTC time, ISO 8601.
    """

    case: str
    settings: Mapping[str, str]
    weights: str
    seed: Count
    precision: str
    world_size: Count
    global_batch: Count
    iterations: Count
    device: Device
    data_root: str = ""
    defaults: Mapping[str, str] = field(default_factory=dict)
    start: str = ""
    sampling: str = ""
    versions: Mapping[str, str] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    host: Mapping[str, str] = field(default_factory=dict)
    commit: str = ""
    command: str = ""
    started: str = ""
