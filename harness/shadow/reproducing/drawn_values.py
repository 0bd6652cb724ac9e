"""A draw of a device's generator, written down as a program that draws again from the same state."""

from __future__ import annotations

from typing import Any

import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.randomness import moments_of
from harness.shadow.judging.operations import RANDOM_MARGIN
from harness.shadow.reproducing.program import UnwritableError, Written, source_of

__all__ = ["write_draw"]

LARGEST_PARAMETERS = 32 * 2**20
"""Bytes of tensors that say what is drawn, such as the probabilities of each element."""

_BODY = """
FOUND_ON, SEED = "{found_on}", {seed}


def draw(device):
    wide = lambda dtype: dtype
    x = {{name: value.to(device) for name, value in stored.items()}}
{shapes}    generators = getattr(torch, device) if device != "cpu" and hasattr(torch, device) else torch
    generators.manual_seed(SEED)
    if device == FOUND_ON and "state" in stored:
        generators.set_rng_state(stored["state"])
    result = torch.ops.{op}({arguments})
    return (result[0] if isinstance(result, (list, tuple)) else result).cpu()


first, second, host = draw(device), draw(device), draw("cpu")
wrong = not torch.equal(first, second)
print(f"{{device}} draws the same again: {{not wrong}} (it must)")
for who, drawn in ((device, first), ("the host", host)):
    values = {values}
    print(f"{{who}}:", drawn.flatten()[:4].tolist(), "…")
    print(f"  mean {{float(values.mean()):.6g}}, standard deviation {{float(values.std()):.6g}}")
{expected}"""

_EXPECTED = """\
    off = abs(float(values.mean()) - {mean!r}) / ({deviation!r} or 1) * values.numel() ** 0.5
    print(f"  expected {mean:.6g}, {deviation:.6g}; the mean is {{off:.2f}} of its deviations off (allowed {margin:g})")
    wrong |= drawn is first and not off <= {margin!r}
"""

_SHAPE_ALONE = ("native_dropout", "rand_like", "randn_like", "randint_like")
"""Operations that draw by the shape of their input alone; of what a call fills in place that is so too."""


def write_draw(call: Call) -> Written:
    """A random call as a program.

    Args:
        call: with the state that its generator had.

    Raises:
        UnwritableError: an argument can't be written down, or is too large.
    """
    kwargs = {name: value for name, value in call.given[1].items() if name != "generator"}
    tensors = list({id(tensor): tensor for tensor in tensors_of([*call.args, *kwargs.values()])}.values())
    names = {id(tensor): str(place) for place, tensor in enumerate(tensors)}
    filled = {id(tensor) for tensor in tensors_of(_written_arguments(call))}
    shapes = {id(t) for t in tensors if id(t) in filled or call.name in _SHAPE_ALONE}
    inputs = {names[id(t)]: t.detach().cpu().contiguous() for t in tensors if id(t) not in shapes}
    size = sum(tensor.numel() * tensor.element_size() for tensor in inputs.values())
    if size > LARGEST_PARAMETERS or any(tensor.dtype.is_complex for tensor in tensors):
        raise UnwritableError(f"its inputs have {size / 2**20:.0f} MiB or hold complex numbers")
    device = _device_of(call, tensors)
    if call.state is not None and (device == "cpu" or hasattr(torch, device)):
        inputs["state"] = call.state.detach().cpu().contiguous()
    arguments = [source_of(value, names) for value in call.args]
    arguments += [f"{name}={source_of(value, names)}" for name, value in kwargs.items()]
    moments = moments_of(call.name, call.args, call.given[1])
    body = _BODY.format(
        found_on=device,
        seed=_seed(call, device),
        shapes="".join(f'    x["{names[id(t)]}"] = {_ones(t)}\n' for t in tensors if id(t) in shapes),
        op=f"{call.op.namespace}.{call.name}.{call.op._overloadname}",
        arguments=", ".join(arguments),
        values="(drawn != 0).double()" if call.name == "native_dropout" else "drawn.double()",
        expected=_EXPECTED.format(mean=moments[0], deviation=moments[1], margin=RANDOM_MARGIN) if moments else "",
    )
    own = "It drew from a generator of its own; here it is the default one. " if "generator" in call.given[1] else ""
    note = f"{own}On another kind of device the draw begins at the seed, where this one began at the stored state."
    return Written(inputs or {"seed": torch.tensor([_seed(call, device)])}, body, note)


def _written_arguments(call: Call) -> list[Any]:
    known = dict(zip(call.operation.arguments, call.args, strict=False)) | dict(call.given[1])
    return [known.get(name) for name in call.operation.written]


def _ones(tensor: torch.Tensor) -> str:
    return f"torch.ones({tuple(tensor.shape)}, dtype={tensor.dtype}, device=device)"


def _device_of(call: Call, tensors: list[torch.Tensor]) -> str:
    return tensors[0].device.type if tensors else torch.device(call.given[1].get("device") or "cpu").type


def _seed(call: Call, device: str) -> int:
    own = call.given[1].get("generator")
    if own is not None:
        return int(own.initial_seed())
    module = torch if device == "cpu" else getattr(torch, device, torch)  # XLA has no module of its own
    return int(module.initial_seed())
