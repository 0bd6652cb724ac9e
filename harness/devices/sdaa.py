"""Tecorigin's accelerator."""

from __future__ import annotations

import contextlib
import io
import re

from harness.devices.device_type import DeviceType
from harness.values.errors import DeviceError

__all__ = ["Sdaa", "parse_build_table"]

_BUILD_LINE = re.compile(r"^[\s\-|]*([A-Za-z][A-Za-z0-9 _\-]*?)\s*(?:version)?\s*[:=|]\s*v?(\d[\w.+\-]*)[^|]*\|?\s*$")


class Sdaa(DeviceType):
    """An SDAA card: an out-of-tree device of PyTorch's, ``import torch_sdaa`` gives ``torch.sdaa``.

    One card shows as four devices. Convolution's backward computes in half precision unless a variable says otherwise.

    Sources: https://gitee.com/tecorigin (ModelZoo's READMEs and launch scripts: package, ``tccl``, the variables).
    """

    name = "sdaa"
    package = "torch_sdaa"
    maker = "Tecorigin"
    group_backend = "cpu:gloo,sdaa:tccl"
    visible_variable = "SDAA_VISIBLE_DEVICES"
    variables = ("SDAA_", "TORCH_SDAA_", "TCCL_")
    distributions = ("torch_sdaa",)

    def hint(self) -> str:
        """Where it can be had."""
        return "use the vendor's container, or --device emulated for the emulated device"

    def load(self) -> dict[str, str]:
        """Import the vendor's package, which prints a table of versions.

        Raises:
            DeviceError: the package can't be imported, or sees no card.
        """
        printed = io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                import torch_sdaa
        except ImportError as failure:
            raise DeviceError("torch_sdaa can't be imported", observed=str(failure), hint="align doctor") from None
        if self.module is None or not self.module.is_available():
            raise DeviceError(
                "torch_sdaa is installed, but sees no card", hint="teco-smi shows the card and its driver"
            )
        build = parse_build_table(printed.getvalue())
        build.setdefault("Torch-SDAA", str(getattr(torch_sdaa, "__version__", "unknown")))
        return build


def parse_build_table(text: str) -> dict[str, str]:
    """The table of versions that importing torch_sdaa prints: component → version.

    Lines of another form are left out: the table's frame changes from release to release.
    """
    matches = (_BUILD_LINE.match(line) for line in text.splitlines())
    return {match[1].strip(): match[2] for match in matches if match}
