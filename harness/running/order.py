"""An order: everything that a child process needs to know to run a case once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.values.bounds import Count
from harness.values.errors import RunError, UsageError

__all__ = ["EAGER", "Order"]

EAGER = "none"
"""The ``compile`` of an order that compiles nothing, whatever the config says."""

_ENDPOINT = re.compile(r"[^\s:]+:[0-9]{1,5}")

SCHEMA = 1


@dataclass(frozen=True)
class Order:
    """One execution of a case on a device.

    Args:
        config: the config file.
        device: as ``harness.devices.choice.choose_device`` takes it.
        profile: numerics profile of the emulated device; its own default where empty.
        faults: faults to put in, as the command line spells them.
        options: ``--cfg-options``, as the command line spells them.
        iterations: how many; the case's own where 0.
        double: whether to run in float64.
        amp: whether to run in automatic mixed precision.
        compile: backend of ``torch.compile``; as the config says where empty, nothing where ``none``.
        noise_tier: precision tier of the healthy noise that is laid over the run; none where empty.
        noise_seed: which of the healthy repeats it is.
        launcher: ``none`` or ``pytorch``.
        processes: how many on this machine, with a launcher.
        nodes: how many machines run processes.
        node: which of them this is; the first one records.
        meeting: where they find each other, ``host:port`` of the first.
        training: whether it is a training of the user's, with the config's own length, logs and checkpoints.
        resume: the checkpoint that a training goes on from, ``auto`` for the latest of its folder; none where empty.
        val_interval: iterations between two validations of a training; as its config says where 0.
        command: what reproduces it.
        shadow: the iterations whose operations are computed again in float64 on the host; see ``harness.shadow``.
        shadow_tier: the precision tier that they are judged at.
        shadow_ops: the operations that are; all where empty.
        shadow_budget: bytes of host memory that computing one operation again may take.
        shadow_forced: whether each operation of the first shadowed iteration is run again with hard inputs.
        trusted: whether it is a reference's run: the device's own shortcuts in precision are switched off.

    Raises:
        UsageError: two fields contradict each other.
    """

    config: str
    device: str
    profile: str = ""
    faults: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    iterations: Count = 0
    double: bool = False
    amp: bool = False
    compile: str = ""
    noise_tier: str = ""
    noise_seed: Count = 0
    launcher: str = "none"
    processes: Count = 1
    nodes: Count = 1
    node: Count = 0
    meeting: str = ""
    training: bool = False
    resume: str = ""
    val_interval: Count = 0
    command: str = ""
    trusted: bool = False
    shadow: tuple[Count, ...] = ()
    shadow_tier: str = "tf32"
    shadow_ops: tuple[str, ...] = ()
    shadow_forced: bool = False
    shadow_budget: Count = 8 * 2**30

    def __post_init__(self) -> None:
        if self.profile and self.device != "emulated":
            raise UsageError(
                "only the emulated device has a numerics profile",
                where="--profile",
                observed=f"{self.profile} on {self.device}",
                hint="--device emulated",
            )
        if self.resume and not self.training:
            raise UsageError("only a training is resumed", where="--resume", observed=self.resume)
        if self.processes > 1 and self.launcher == "none":
            raise UsageError(
                "several processes need a launcher",
                where="--nproc-per-node",
                observed=self.processes,
                hint="--launcher pytorch",
            )

        if self.nodes > 1 and (self.launcher == "none" or not _ENDPOINT.fullmatch(self.meeting)):
            raise UsageError(
                "several machines need a launcher, and a place to meet",
                where="--nnodes",
                observed=f"--launcher {self.launcher} --rdzv-endpoint {self.meeting or 'none'}",
                hint="--launcher pytorch --rdzv-endpoint HOST:PORT, with the first machine's name and a free port",
            )
        if self.node >= self.nodes:
            raise UsageError(
                "there are fewer machines",
                where="--node-rank",
                observed=self.node,
                allowed=f"0 … {self.nodes - 1}",
                hint=f"--nnodes {self.node + 1}",
            )

    def write(self, path: Path) -> None:
        """Write the order for the child to read."""
        write_text(path, encode_value(self, schema=SCHEMA))

    @classmethod
    def read(cls, path: Path) -> Order:
        """Read what ``write`` wrote.

        Raises:
            RunError: the file is missing or no order.
            UsageError: two fields contradict each other.
        """
        return read_value(path, cls, RunError, schema=SCHEMA)
