"""Numerics profiles as data: how many mantissa bits a device keeps, where, and in which order it sums.

Nothing here imports torch, so that a command line can list the profiles at no cost. `harness.lab.emulation.numerics`
lays a profile over the emulated device.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from harness.values.errors import DeviceError
from harness.values.precision import FAMILIES, FP16_BITS, Family

__all__ = ["PROFILES", "Profile", "get_profile"]


@dataclass(frozen=True)
class Profile:
    """The numerics of a device.

    Attributes:
        name: what the command line calls it.
        summary: one line for a listing.
        convolution: rounding of the forward convolution.
        convolution_backward: rounding of both gradients of the convolution.
        matmul: rounding of mm, bmm, mv, addmm, baddbmm and addmv, which scaled dot-product attention is made of where
            they round.
        reorder: sums run in another order than the CPU's: convolution and matmul over reversed channels, weight
            gradients over reversed batches, batch norm, softmax and reductions over reversed axes.
        flush_to_zero: subnormal float32 results of convolution and matmul become zero.
    """

    name: str
    summary: str
    convolution: Family = FAMILIES["fp32"]
    convolution_backward: Family = FAMILIES["fp32"]
    matmul: Family = FAMILIES["fp32"]
    reorder: bool = True
    flush_to_zero: bool = False

    @property
    def is_exact(self) -> bool:
        """Whether the device computes what the CPU computes, to the last bit."""
        plain = Family()
        rounds = any(family != plain for family in (self.convolution, self.convolution_backward, self.matmul))
        return not (rounds or self.reorder or self.flush_to_zero)


def _uniform(name: str, summary: str, family: Family) -> Profile:
    return Profile(name, summary, convolution=family, convolution_backward=family, matmul=family)


_HALF = Family(FP16_BITS, FP16_BITS, half_range=True)

PROFILES: Mapping[str, Profile] = MappingProxyType(
    {
        profile.name: profile
        for profile in (
            Profile("exact", "the CPU's own numerics, bit for bit", reorder=False),
            _uniform("fp32", "float32 in another summation order: a healthy port", FAMILIES["fp32"]),
            _uniform("tf32", "operands of convolution and matmul keep 10 mantissa bits", FAMILIES["tf32"]),
            _uniform("fp16", "operands and results keep 10 mantissa bits, range unbounded", FAMILIES["fp16"]),
            _uniform("bf16", "operands and results keep 7 mantissa bits", FAMILIES["bf16"]),
            Profile(
                "sdaa",
                "convolution in half precision, backward too, unless TORCH_SDAA_CONV_USE_FP32 and "
                "TORCH_SDAA_CONV2D_BACKWARD_USE_FP32 are set; matmul in float32",
                convolution=_HALF,
                convolution_backward=_HALF,
            ),
        )
    }
)


def get_profile(name: str, environ: Mapping[str, str] = os.environ) -> Profile:
    """The profile of that name, as the environment sets it.

    Args:
        name: a key of `PROFILES`.
        environ: where the variables of the accelerator are looked up; they touch the profile `sdaa` only.

    Raises:
        DeviceError: no profile has that name.
    """
    try:
        profile = PROFILES[name]
    except KeyError:
        close = difflib.get_close_matches(name, PROFILES, n=1)
        hint = f"did you mean {close[0]}?" if close else None
        raise DeviceError(
            "no numerics profile has that name", where="profile", observed=name, allowed=", ".join(PROFILES), hint=hint
        ) from None
    if profile.name != "sdaa":
        return profile
    plain = Family()
    if _is_set(environ, "TORCH_SDAA_CONV_USE_FP32"):
        return replace(profile, convolution=plain, convolution_backward=plain)
    if _is_set(environ, "TORCH_SDAA_CONV2D_BACKWARD_USE_FP32"):
        return replace(profile, convolution_backward=plain)
    return profile


def _is_set(environ: Mapping[str, str], variable: str) -> bool:
    return environ.get(variable, "0").strip().lower() not in {"", "0", "off", "false", "no"}
