"""Answers and margins as PNG files: one byte a pixel.

A margin is how far the largest score lies above the next one. It is kept as a code of eight steps an octave, which says
it to 4.4 %: enough to ask how sure the reference was where a candidate answers otherwise.
"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt

from harness.store.atomic import read_bytes
from harness.values.errors import RunError

__all__ = ["decode_margins", "encode_margins", "encode_png", "read_kept"]

_STEPS: Final = 8
"""Codes an octave."""

_ZERO: Final = 200
"""The code of a margin of 1; code 0 is 2⁻²⁵ and below, ties included; 255 is 2^6.9 and above."""


def encode_margins(margins: npt.NDArray[np.float32]) -> npt.NDArray[np.uint8]:
    """(H, W) margins ≥ 0 → (H, W) codes."""
    with np.errstate(divide="ignore"):
        codes = np.round(np.log2(np.maximum(margins.astype(np.float64), 0.0)) * _STEPS) + _ZERO
    kept: npt.NDArray[np.uint8] = np.clip(np.nan_to_num(codes, nan=0.0, neginf=0.0, posinf=255.0), 0, 255).astype(
        np.uint8
    )
    return kept


def decode_margins(codes: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    """(H, W) codes → margins; code 0 is 0."""
    margins: npt.NDArray[np.float64] = np.where(codes == 0, 0.0, 2.0 ** ((codes.astype(np.float64) - _ZERO) / _STEPS))
    return margins


def encode_png(pixels: npt.NDArray[np.uint8]) -> bytes:
    """A grey PNG file."""
    packed, content = cv2.imencode(".png", np.ascontiguousarray(pixels), [cv2.IMWRITE_PNG_COMPRESSION, 3])
    if not packed:
        raise RunError("OpenCV can't encode a PNG", observed=pixels.shape)
    return bytes(content.tobytes())


def read_kept(path: Path) -> npt.NDArray[np.uint8]:
    """(H, W) uint8 of a file that was kept.

    Raises:
        RunError: it is missing or damaged.
    """
    content = read_bytes(path, RunError, hint="evaluate again with --keep-margins, in another --work-dir")
    pixels = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if pixels is None or pixels.dtype != np.uint8 or pixels.ndim != 2:
        raise RunError("kept answers can't be read", where=path, hint=f"rm {path}, and evaluate again")
    decoded: npt.NDArray[np.uint8] = pixels
    return decoded
