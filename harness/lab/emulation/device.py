"""The emulated device: PyTorch's PrivateUse1 backend, named `sdaa`, in pure Python."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NoReturn, Protocol

import torch
from torch.utils import backend_registration

from harness.lab.emulation import (
    accelerator,
    autocast,
    backward,
    generator,
    pinning,
    placement,
    recurrent,
    storage,
    streams,
    syncbn,
    tccl,
)
from harness.lab.emulation import attention_kernels as attention
from harness.lab.emulation.card import DEVICE_TYPE, Card, visible_devices
from harness.lab.emulation.dispatch_plan import Plan, Wrapper, overload
from harness.lab.emulation.kernel import make_kernel
from harness.lab.emulation.module import make_module
from harness.lab.emulation.numerics import wrappers
from harness.lab.emulation.profiles import PROFILES, Profile
from harness.recording.clock import current_iteration
from harness.values.errors import DeviceError

__all__ = ["EmulatedDevice", "KernelFault"]

# Composite on the CPU; the device has to see them whole.
_OWN = ("convolution", "convolution_backward", "copy_", "_copy_from", "_lazy_clone")

# Composite on the CPU too, of a kind that looks for a kernel of the tensor's own device.
_OWN_FAMILIES = ("_foreach_", "kaiser_window")

# Tensors that are no one block of memory.
_OTHER_LAYOUTS = ("SparsePrivateUse1", "SparseCsrPrivateUse1", "NestedTensorPrivateUse1", "QuantizedPrivateUse1")

# What the CPU has no kernel for, since only accelerators have the fused operation.
_MISSING: dict[str, Wrapper] = {**syncbn.OPERATIONS, **recurrent.OPERATIONS}

# What the CPU answers with tensors that have no memory to share, or share it until written.
_MADE_PLAIN: dict[str, Wrapper] = {
    "_efficientzerotensor": lambda run, size, **settings: torch.zeros(size, **settings),
    "_lazy_clone": lambda run, tensor: tensor.clone(),
}


class KernelFault(Protocol):
    """What the device asks of a fault that is put into it."""

    @property
    def name(self) -> str:
        """What the command line calls it."""

    @property
    def begins(self) -> int:
        """The iteration, counted from 0, at which it begins."""

    @property
    def card(self) -> int | None:
        """The only device that it strikes, by its number on the card; all where None."""

    def kernels(self) -> Mapping[str, Wrapper]:
        """Operation name → wrapper, new ones with a memory of their own; empty where it isn't in kernels."""


class EmulatedDevice:
    """The one emulated accelerator of this process.

    Attributes:
        profile: the numerics in use.
        faults: the faults in use.
        card: its devices `sdaa:0`, `sdaa:1`, …
    """

    def __init__(self) -> None:
        self.profile: Profile = PROFILES["exact"]
        self.faults: tuple[KernelFault, ...] = ()
        self.card = Card(visible_devices())
        self._plans: dict[torch._ops.OpOverload, Plan] = {}
        self._fallen_back: dict[torch._ops.OpOverload, Callable[..., Any]] = {}
        self._wrappers: dict[str, list[Wrapper]] = {}
        # A Library takes its kernels along when it is collected.
        self._aten = torch.library.Library("aten", "IMPL")
        self._any = torch.library.Library("_", "IMPL")

    def register(self) -> None:
        """Take the PrivateUse1 place: name, module, kernels, autocast, storages, process group."""
        backend_registration._setup_privateuseone_for_python_backend(DEVICE_TYPE, backend_module=make_module(self.card))
        for qualified in _computed_on_host():
            plan = self._plan(overload(qualified))
            self._aten.impl(qualified.partition("::")[2], make_kernel(plan, self.card), "PrivateUse1")
        self._any.fallback(self._fall_back, "PrivateUse1")
        for key in _OTHER_LAYOUTS:
            self._any.fallback(_refuse_layout, key)
        # DistributedDataParallel copies inputs on a side stream; here everything is done when a call returns.
        self._aten.impl("record_stream", lambda tensor, stream: None, "PrivateUse1")
        attention.register(self._aten, lambda: self._wrappers.keys().isdisjoint(attention.PARTS))
        autocast.register(self._aten, self._any)
        placement.register(self._aten, self.card)
        pinning.register(self._aten)
        generator.register(self.card)
        streams.register()
        backward.register()
        storage.register(self.card)
        accelerator.register(self.card)
        tccl.register()

    def use(self, profile: Profile, faults: Sequence[KernelFault] = ()) -> None:
        """Compute with these numerics and faults from now on; what an earlier call set is forgotten."""
        self.profile, self.faults = profile, tuple(faults)
        self._wrappers = {}
        for source in (
            _MISSING,
            _MADE_PLAIN,
            wrappers(profile),
            *(_striking(fault, self.card) for fault in self.faults),
        ):
            for name, wrapper in source.items():
                self._wrappers.setdefault(name, []).append(wrapper)
        for plan in self._plans.values():
            plan.wrap(self._wrappers.get(plan.name, []))

    def _plan(self, op: torch._ops.OpOverload) -> Plan:
        plan = self._plans[op] = Plan.of(op)
        plan.wrap(self._wrappers.get(plan.name, []))
        return plan

    def _fall_back(self, op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> Any:
        """An operation without a kernel of the CPU's own: another library's, or an accelerator's only."""
        kernel = self._fallen_back.get(op)
        if kernel is None:
            kernel = self._fallen_back[op] = make_kernel(self._plan(op), self.card)
        try:
            return kernel(*args, **kwargs)
        except NotImplementedError as error:
            raise DeviceError(
                "the emulated accelerator has no such operation, since the CPU has none", where=str(op)
            ) from error


def _refuse_layout(op: torch._ops.OpOverload, *args: Any, **kwargs: Any) -> NoReturn:
    raise DeviceError(
        "the emulated accelerator has dense tensors of plain dtypes only",
        where=str(op),
        observed="a sparse, nested or quantized tensor",
        allowed="torch.strided, and no quantized dtype",
    )


def _computed_on_host() -> Iterable[str]:
    registered = torch._C._dispatch_get_registrations_for_dispatch_key
    families = tuple(f"aten::{family}" for family in _OWN_FAMILIES)
    composite = (name for name in registered("CompositeExplicitAutograd") if name.startswith(families))
    own = (f"aten::{name}" for name in _OWN)
    return {name for name in registered("CPU") if name.startswith("aten::")}.union(composite, own)


def _striking(fault: KernelFault, card: Card) -> dict[str, Wrapper]:
    """The fault's wrappers, inert before the iteration that it begins at, and on devices that it doesn't strike."""

    def begin(wrapper: Wrapper) -> Wrapper:
        def begun(run: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
            spared = fault.card is not None and card.current.number != fault.card
            if spared or current_iteration() < fault.begins:
                return run(*args, **kwargs)
            return wrapper(run, *args, **kwargs)

        return begun

    return {name: begin(wrapper) for name, wrapper in fault.kernels().items()}
