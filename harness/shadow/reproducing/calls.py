"""A call of an operation, written down as a program that reproduces it, with its inputs within bounds."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch

from harness.shadow.arithmetic.call import Call
from harness.shadow.arithmetic.host import tensors_of
from harness.shadow.arithmetic.kinds import Kind
from harness.shadow.arithmetic.results import Compared
from harness.shadow.evidence.checks import Part
from harness.shadow.judging.operations import Allowance, bits_of
from harness.shadow.reproducing.call_file import plain_argument
from harness.shadow.reproducing.drawn_values import write_draw
from harness.shadow.reproducing.program import UnwritableError, Written, source_of

__all__ = ["write_call"]

LARGEST_INPUTS = 32 * 2**20

_LARGEST_GAPS = 8
"""How often its elements a tensor's memory may be: an element of each row of a large matrix isn't kept as such."""

_BATCHED: Mapping[str, tuple[int, ...]] = {
    "convolution": (0,),
    "convolution_backward": (0, 1),
    "mm": (0,),
    "bmm": (0, 1),
    "native_batch_norm": (0,),
    "max_pool2d_with_indices": (0,),
    "relu": (0,),
    "threshold_backward": (0, 1),
    "upsample_bilinear2d": (0,),
    "_softmax": (0,),
    "_log_softmax": (0,),
}
"""Operations that can be called with fewer samples → the positions of the arguments that have a batch as first axis."""

_HOST_HAS_NOT = ("cudnn_", "miopen_", "_amp_", "_batch_norm_with_update", "batch_norm_")

_UNSCALE = "_amp_foreach_non_finite_check_and_unscale_"
"""The host has it in float32 only."""

_BODY = """

def run(device, double):
    wide = lambda dtype: torch.float64 if double and dtype.is_floating_point else dtype
    x = {{name: lay(value.to(device, wide(value.dtype)).clone(), value.stride()) for name, value in stored.items()}}
{statement}
    return {pick}.detach().cpu()


c, r = run(device, False), run("cpu", {double})
print(f"{{device}}:", c.flatten()[:4].tolist(), "…")
print("the host{in_double}:", r.flatten()[:4].tolist(), "…")
{verdict}
"""

_ON_BOTH = "    result = torch.ops.{op}({arguments})"

_UNSCALED = """\
    if double:
        x["{found}"].fill_(float(not all(bool(gradient.isfinite().all()) for gradient in {gradients})))
        result = [gradient.mul_(x["{inverse}"]) for gradient in {gradients}]
    else:
        result = torch.ops.{op}({arguments})"""

_COMPUTED = """\
error, projection = distance(c, r)
print(f"error {{error:.3g}} (allowed {{{error}:.3g}})")
print(f"projection {{projection:+.3g}} (allowed {{{projection}:.3g}})")
wrong = not (error <= {error} and abs(projection) <= {projection})"""

_STORED = """\


def bits(tensor):
    whole, most = (torch.int32, 23) if tensor.dtype == torch.float32 else (torch.int16, 10)
    fields = tensor.contiguous().view(whole)
    return next((most - lost for lost in range(most) if ((fields >> lost) & 1).any()), 0)


print(f"stored with {{bits(c)}} mantissa bits (at least {least} demanded), the host's {{bits(r.to(c.dtype))}}")
wrong = bits(c) < {least}"""

_MOVED = """\
differ = (c != r) & ~(c.isnan() & r.isnan())
print(f"{{float(differ.double().mean()):.3%}} of the elements differ (none may)")
wrong = bool(differ.any())"""


def write_call(call: Call, result: Compared, allowed: Allowance, part: Part = Part.FORWARD) -> Written:
    """A call as a program.

    Args:
        call: with its inputs from before it was made.
        result: which of its results was wrong.
        allowed: what a healthy kernel may have.
        part: that the finding is of: whether the result's numbers are compared or its format.

    Raises:
        UnwritableError: the call can't be run again by itself.
    """
    if call.operation.kind is Kind.RANDOM:
        return write_draw(call)
    inputs, strides, names, note = _inputs_of(call)
    positional = [source_of(value, names) for value in call.given[0]]
    by_name = [f"{name}={source_of(value, names)}" for name, value in call.given[1].items()]
    op = f"{call.op.namespace}.{call.name}.{call.op._overloadname}"
    words = {"op": op, "arguments": ", ".join([*positional, *by_name])}
    statement = _ON_BOTH.format(**words)
    if call.name == _UNSCALE:
        gradients, found, inverse = call.args
        places = {"found": names[id(found)], "inverse": names[id(inverse)]}
        statement = _UNSCALED.format(gradients=source_of(gradients, names), **places, **words)
    moved = call.operation.kind in {Kind.MOVE, Kind.VIEW}
    body = _BODY.format(
        statement=statement,
        pick=_pick(result, names),
        double=not moved,
        in_double="" if moved else " in float64",
        verdict=_MOVED.format() if moved else _verdict(allowed, part),
    )
    known = dict(zip(call.operation.arguments, call.given[0])) | dict(call.given[1])  # noqa: B905  # defaults may lack
    data = {
        "op": op,
        "arguments": {name: plain_argument(value, names) for name, value in known.items()},
        "strides": strides,
        "result": result.name,
    }
    return Written(inputs, body, note, strides, call=data)


def _verdict(allowed: Allowance, part: Part) -> str:
    if part is Part.PRECISION:
        return _STORED.format(least=bits_of(allowed.error))
    return _COMPUTED.format(error=source_of(allowed.error, {}), projection=source_of(allowed.projection, {}))


def _inputs_of(
    call: Call,
) -> tuple[dict[str, torch.Tensor], dict[str, tuple[int, ...]], dict[int, str], str]:
    """Inputs by name, strides of those that aren't contiguous, a tensor's id → its name, and a note.

    Raises:
        UnwritableError: they are too large, or nothing that can be kept.
    """
    if call.before is None:
        raise UnwritableError("its inputs weren't kept")
    if call.name.startswith(_HOST_HAS_NOT) and call.name != _UNSCALE:
        raise UnwritableError("the host has no operation of that name")
    given = list(tensors_of([*call.given[0], *call.given[1].values()]))
    before = list(tensors_of([*call.before[0], *call.before[1].values()]))
    if len(given) != len(before) or any(not tensor.numel() for tensor in before):
        raise UnwritableError("one of its inputs is empty, or of no tensor's kind")
    names = {id(tensor): str(place) for place, tensor in reversed(list(enumerate(given)))}
    inputs = {names[id(tensor)]: _as_given(tensor, host) for tensor, host in zip(given, before, strict=True)}
    inputs, note = _cut(call, inputs, names)
    strides = {
        name: tuple(given[int(name)].stride())
        for name, tensor in inputs.items()
        if tensor.shape == given[int(name)].shape and _strided(given[int(name)])
    }
    return inputs, strides, names, note


def _as_given(tensor: torch.Tensor, host: torch.Tensor) -> torch.Tensor:
    """The host's copy of an input in the dtype that the device had, which loses nothing."""
    if tensor.dtype.is_complex:
        raise UnwritableError("safetensors holds no complex numbers")
    return host.to(tensor.dtype).contiguous()


def _strided(tensor: torch.Tensor) -> bool:
    """Whether it has a layout of its own that a tensor can be made with: not contiguous, its elements apart.

    Axes of stride 0, and gaps, are layouts too.
    """
    if tensor.is_contiguous() or any(stride < 0 for stride in tensor.stride()):
        return False
    axes = [(size, stride) for size, stride in zip(tensor.shape, tensor.stride(), strict=True) if stride]
    within = 1
    for size, stride in sorted(axes, key=lambda axis: axis[1]):
        if size > 1 and stride < within:
            return False
        within = max(within, (size - 1) * stride + 1)
    return within <= _LARGEST_GAPS * math.prod(size for size, _ in axes)


def _cut(call: Call, inputs: dict[str, torch.Tensor], names: Mapping[int, str]) -> tuple[dict[str, torch.Tensor], str]:
    """The inputs within what is allowed, by fewer samples where they are too large, and a sentence that says so."""
    size = sum(map(_bytes, inputs.values()))
    if size <= LARGEST_INPUTS:
        return inputs, ""
    args = call.given[0]
    places = _BATCHED.get(call.operation.name, ())
    over_batch = call.operation.name.endswith("softmax") and args[1] in {0, -args[0].dim()}
    batched = {names[id(args[place])] for place in places}
    samples = min((len(inputs[name]) for name in batched), default=0)
    fixed = sum(_bytes(tensor) for name, tensor in inputs.items() if name not in batched)
    each = (size - fixed) / samples if samples else 0.0
    kept = int((LARGEST_INPUTS - fixed) // each) if each else 0
    if kept < 1 or over_batch:
        raise UnwritableError(f"its inputs have {size / 2**20:.0f} MiB, which can't be cut to 32")
    cut = {name: tensor[:kept].contiguous() if name in batched else tensor for name, tensor in inputs.items()}
    return cut, f"Its inputs are cut to the first {kept} of {samples} samples."


def _bytes(tensor: torch.Tensor) -> int:
    return tensor.numel() * tensor.element_size()


def _pick(result: Compared, names: Mapping[int, str]) -> str:
    """The result that was wrong, of what the call returned or changed."""
    if result.place >= 0:
        return f"(result[{result.place}] if isinstance(result, (list, tuple)) else result)"
    if result.original is None or id(result.original) not in names:
        raise UnwritableError("what it changed isn't among its inputs")
    return f'x["{names[id(result.original)]}"]'
