"""What the boxed kernel has to know of an operation, read from its schema once instead of at each call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch

__all__ = ["Plan", "Wrapper", "overload"]

# For these keys PyTorch registers the operations that don't have the mark undone before them.
_MARKS = ("Conjugate", "Negative")

Run = Callable[..., Any]
Wrapper = Callable[..., Any]
"""Called as `wrapper(run, *host_args, **host_kwargs)` in place of `run(*host_args, **host_kwargs)`."""


@dataclass(slots=True)
class Plan:
    """One operation's schema, digested, and the function that computes it on the host.

    Attributes:
        op: the overload.
        name: its name without namespace and overload, which numerics and faults go by: `convolution_backward`.
        has_tensor_lists: whether an argument is a list of tensors.
        returned: for each return, the argument that it is (`add_`, `out=`), or None where it is a new tensor.
        is_inplace: whether the one return is the first argument.
        writes_out: names of the `out=` arguments, which the CPU may resize.
        draws: whether it draws from the device's random stream.
        makes: whether it takes a `device=`.
        keeps_marks: whether it is given lazily conjugated or negated tensors as they are, as copies and products are.
        run: the host's function, with numerics and faults where a device has them.
    """

    op: torch._ops.OpOverload
    name: str
    has_tensor_lists: bool
    returned: tuple[str | int | None, ...]
    is_inplace: bool
    writes_out: tuple[str, ...]
    draws: bool
    makes: bool
    keeps_marks: bool
    run: Run

    @classmethod
    def of(cls, op: torch._ops.OpOverload) -> Plan:
        """Read the schema of `op`; its host function is PyTorch's own."""
        schema = op._schema
        owner: dict[str, str | int] = {}
        for position, argument in enumerate(schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for alias in argument.alias_info.before_set:
                    owner[alias] = argument.name if argument.kwarg_only else position
        returned = tuple(_owner(value.alias_info, owner) for value in schema.returns)
        return cls(
            op=op,
            name=schema.name.partition("::")[2],
            has_tensor_lists=any("List[" in str(a.type) and "Tensor" in str(a.type) for a in schema.arguments),
            returned=returned,
            is_inplace=returned == (0,),
            writes_out=tuple(a.name for a in schema.arguments if a.kwarg_only and a.is_out),
            draws=torch.Tag.nondeterministic_seeded in op.tags,
            makes=any(a.name in {"device", "pin_memory"} for a in schema.arguments),
            keeps_marks=any(torch._C._dispatch_has_kernel_for_dispatch_key(op.name(), key) for key in _MARKS),
            run=_host_function(op),
        )

    def wrap(self, wrappers: list[Wrapper]) -> None:
        """Compute through `wrappers`, innermost first, or as PyTorch does where there are none."""
        run = _host_function(self.op)
        for wrapper in wrappers:
            run = _bind(wrapper, run)
        self.run = run


def overload(qualified: str) -> torch._ops.OpOverload:
    """The operation behind a registered name such as `aten::add.Tensor`."""
    namespace, _, rest = qualified.partition("::")
    packet, _, name = rest.partition(".")
    found: torch._ops.OpOverload = getattr(getattr(getattr(torch.ops, namespace), packet), name or "default")
    return found


def _host_function(op: torch._ops.OpOverload) -> Run:
    """PyTorch's own; a number that stands where a tensor should goes to the overload that takes numbers.

    The dispatcher hands the number of `x % 2` over as itself, and only some operations take it back so.
    """
    run: Run = op._op
    packet = op._overloadpacket
    if torch._C._should_allow_numbers_as_tensors(packet.__name__) or not _takes_numbers(packet):
        return run
    expected = [index for index, argument in enumerate(op._schema.arguments) if str(argument.type) == "Tensor"]

    def checked(*args: Any, **kwargs: Any) -> Any:
        if any(isinstance(args[index], (bool, int, float, complex)) for index in expected if index < len(args)):
            return packet(*args, **kwargs)
        return run(*args, **kwargs)

    return checked


def _takes_numbers(packet: torch._ops.OpOverloadPacket) -> bool:
    return any("scalar" in name.lower() for name in packet.overloads())


def _bind(wrapper: Wrapper, run: Run) -> Run:
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return wrapper(run, *args, **kwargs)

    return wrapped


def _owner(alias_info: Any, owner: dict[str, str | int]) -> str | int | None:
    if alias_info is None:
        return None
    return next((owner[alias] for alias in alias_info.before_set if alias in owner), None)
