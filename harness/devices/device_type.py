"""A type of device: how it is opened, and which of its habits recording and judging must know.

The defaults are those of a device that PyTorch integrates as it does CUDA: a module ``torch.<kind>`` with
``is_available``, ``set_device``, ``synchronize``, ``max_memory_allocated`` and the state of a generator. A device whose
habits are others overrides what differs. docs/devices.md adds one from outside.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

from harness.values.errors import DeviceError

if TYPE_CHECKING:
    import torch

    from harness.devices.fault_registry import Fault

__all__ = ["DeviceType"]


class DeviceType:
    """One type of device. Nothing here imports torch before it has to: listing devices must be cheap.

    Attributes:
        name: what ``--device`` calls it.
        kind: torch's device type; the name where a class doesn't say.
        package: the package whose import makes the device known to torch; empty where torch itself does.
        maker: who makes it, for lists.
        tried: where this class was run on the real device; empty where it never was, which lists and docs then say.
        emulated: whether it is emulated in software.
        is_host: whether it is the machine's own processor.
        group_backend: of ``torch.distributed.init_process_group``; empty where one process is all there can be.
        visible_variable: the environment variable that says which cards a process sees.
        variables: environment variables that change numerics or placement, or their beginnings where they end with
            an underscore; a run's provenance keeps those that are set.
        distributions: packages whose versions a run's provenance keeps, as installers call them.
        amp_dtypes: names of the dtypes that autocast has there, its own choice first.
        draws_move_state: whether the state of its generator moves when something is drawn, and only then.
        has_pointers: whether ``data_ptr`` tells two tensors of the device apart.
        keeps_total_weight: whether ``nll_loss_forward`` answers with the total weight, by which the mean was divided; a
            device that answers otherwise must have a backward that doesn't read it.
        ranks_are_indices: whether mmengine may name a process's device by its local rank.
        synchronizes_norms: whether ``torch.nn.SyncBatchNorm`` runs there.
    """

    name: ClassVar[str] = ""
    kind: ClassVar[str] = ""
    package: ClassVar[str] = ""
    maker: ClassVar[str] = ""
    tried: ClassVar[str] = ""
    emulated: ClassVar[bool] = False
    is_host: ClassVar[bool] = False
    group_backend: ClassVar[str] = ""
    visible_variable: ClassVar[str] = ""
    variables: ClassVar[tuple[str, ...]] = ()
    distributions: ClassVar[tuple[str, ...]] = ()
    amp_dtypes: ClassVar[tuple[str, ...]] = ("float16", "bfloat16")
    draws_move_state: ClassVar[bool] = True
    has_pointers: ClassVar[bool] = True
    keeps_total_weight: ClassVar[bool] = True
    ranks_are_indices: ClassVar[bool] = False
    synchronizes_norms: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        cls.kind = cls.kind or cls.name

    # Whether it is here

    def absence(self) -> str:
        """Why there is no such device here, in a few words; empty where there is one, as far as can be told cheaply.

        A package that is installed may still find no card: opening says so.
        """
        if not self.package:
            return "" if self.is_available() else f"torch.{self.kind} finds no card"
        found = importlib.util.find_spec(self.package.partition(".")[0]) is not None
        return "" if found else f"{self.package} is not installed"

    def is_available(self) -> bool:
        """Whether torch, as it is loaded, finds a card."""
        return self.module is not None and bool(self.module.is_available())

    def hint(self) -> str:
        """What to do where it isn't here."""
        return "align doctor"

    # Opening it

    def require_profile(self, profile: str) -> None:
        """Refuse a numerics profile that the device doesn't have: real ones have their own numerics alone.

        Raises:
            DeviceError: there is no such profile.
        """
        raise DeviceError(
            "only the emulated device has a numerics profile",
            where="--profile",
            observed=f"{profile} on {self.name}",
            hint="--device emulated",
        )

    def install(self, profile: str, faults: Sequence[Fault]) -> str:
        """Take the numerics and the faults in kernels that were asked for, before anything of torch has run.

        Args:
            profile: numerics; the device's own where empty.
            faults: all that were asked for; those outside of kernels are attached to the training later.

        Returns:
            The profile that holds; empty where the device has none.

        Raises:
            DeviceError: the device has no such profile, or can't take a fault in a kernel.
        """
        if profile:
            self.require_profile(profile)
        if kernels := [fault.name for fault in faults if fault.in_kernels]:
            raise DeviceError(
                "a fault in kernels can only be put into the emulated device",
                where="--fault",
                observed=f"{', '.join(kernels)} on {self.name}",
                hint="--device emulated",
            )
        return ""

    def installed(self) -> tuple[str, tuple[str, ...]] | None:
        """The profile and the names of the faults that its user put into this process; None where nobody did."""
        return None

    def load(self) -> dict[str, str]:
        """Make ``torch.device(kind)`` usable in this process.

        Returns:
            What loading it told of its build: component → version.

        Raises:
            DeviceError: it can't be loaded.
        """
        if why := self.absence():
            raise DeviceError(f"there is no {self.name} device here", observed=why, hint=self.hint())
        if self.package:
            try:
                importlib.import_module(self.package)
            except ImportError as failure:
                raise DeviceError(
                    f"{self.package} can't be imported", observed=str(failure), hint=self.hint()
                ) from None
        if not self.is_available():
            observed = f"{self.package} is imported, torch.{self.kind} finds no card"
            raise DeviceError(f"there is no {self.name} device here", observed=observed, hint=self.hint())
        return {}

    def count(self) -> int:
        """How many cards this process sees."""
        return int(self.module.device_count())

    def select(self, index: int) -> None:
        """Make one of several cards this process's own.

        Raises:
            DeviceError: there are fewer.
        """
        if index >= (count := self.count()):
            raise DeviceError(
                f"there is no {self.name}:{index} here",
                where="--device",
                observed=f"{count} devices",
                allowed=f"{self.name}:0 … {self.name}:{count - 1}",
            )
        self.module.set_device(index)

    def hardware(self) -> str:
        """The vendor's name of the card."""
        named = getattr(self.module, "get_device_name", None)
        return str(named()) if named is not None else self.name

    def build(self) -> dict[str, str]:
        """What may explain a difference between two machines: driver, libraries, capability. Component → version."""
        return {}

    def compute_exactly(self) -> None:
        """Switch off what rounds more than the dtype says, and what chooses kernels anew in each run.

        Called where a reference is recorded, so that a precision tier is what its name says.
        """

    # While it runs

    @property
    def module(self) -> Any:
        """``torch.<kind>``; None where torch has no such module."""
        import torch

        return getattr(torch, self.kind, None)

    def synchronize(self) -> None:
        """Wait until everything that was asked for is computed."""
        wait = getattr(self.module, "synchronize", None)
        if wait is not None:
            wait()

    def end_step(self) -> None:
        """Called after each iteration, before anything of it is read: for devices that compute when they are told."""

    def peak_memory(self) -> float | None:
        """The most that was allocated so far, in bytes; None where the device doesn't tell."""
        peak = getattr(self.module, "max_memory_allocated", None)
        return None if peak is None else float(peak())

    def free_memory(self, index: int) -> float | None:
        """Bytes that are free on a card; None where the device doesn't tell."""
        told = getattr(self.module, "mem_get_info", None)
        return None if told is None else float(told(index)[0])

    def generator_state(self) -> torch.Tensor | None:
        """The state of the device's generator; None where it can't be read."""
        state = getattr(self.module, "get_rng_state", None)
        return None if state is None else state()

    def set_generator_state(self, state: torch.Tensor) -> None:
        """Give the generator a state that ``generator_state`` told."""
        self.module.set_rng_state(state)

    def fallbacks(self) -> frozenset[str] | None:
        """Names of the operations that the device has left to its host so far; None where it doesn't count them.

        Without a count an operation is called left to the host where the backend registered no kernel for it.
        """
        return None

    # Several processes

    def join_group(self, environment: Mapping[str, str] = os.environ, timeout_seconds: float = 1800) -> None:
        """Join the process group that a launcher described, on a card of this process's own."""
        import torch.distributed as dist

        if not self.is_host:
            self.select(int(environment["LOCAL_RANK"]) % self.count())
        dist.init_process_group(self.group_backend, timeout=timedelta(seconds=timeout_seconds))
