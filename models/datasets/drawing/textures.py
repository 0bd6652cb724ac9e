"""Smooth noise and grain, in integers."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from models.datasets.drawing.canvas import LABEL, Canvas
from models.datasets.draws import Draws, speckle

__all__ = ["add_grain", "smooth_noise"]

_GRAIN = {"road": 22, "sidewalk": 26, "vegetation": 52, "terrain": 60, "building": 14, "wall": 26, "fence": 20}
_FAINT = 7


def smooth_noise(key: int, rows: range, columns: range, cell: int) -> npt.NDArray[np.int32]:
    """Noise that changes over `cell` pixels: random values on a lattice, linear in between.

    Args:
        key: names the texture.
        rows: of the picture.
        columns: of the picture.
        cell: distance of the lattice's points in pixels, at least 1.

    Returns:
        (len(rows), len(columns)) int32 in 0–255.
    """
    row, column = np.arange(rows.start, rows.stop), np.arange(columns.start, columns.stop)
    first_row, first_column = rows.start // cell, columns.start // cell
    lattice_rows = np.arange(first_row, rows.stop // cell + 2, dtype=np.int32)[:, None]
    lattice_columns = np.arange(first_column, columns.stop // cell + 2, dtype=np.int32)[None, :]
    lattice = (speckle(key, lattice_rows, lattice_columns) >> np.uint32(24)).astype(np.int32)

    above, down = row // cell - first_row, (row % cell).astype(np.int32)[:, None]
    strips: npt.NDArray[np.int32] = (lattice[above] * (cell - down) + lattice[above + 1] * down) // cell
    left, right = column // cell - first_column, (column % cell).astype(np.int32)
    noise: npt.NDArray[np.int32] = (strips[:, left] * (cell - right) + strips[:, left + 1] * right) // cell
    return noise


def add_grain(canvas: Canvas, draws: Draws) -> None:
    """Give every surface the roughness of its label, and the sensor its noise."""
    strength = np.full(256, _FAINT, dtype=np.int16)
    for name, amplitude in _GRAIN.items():
        strength[LABEL[name]] = amplitude
    rows = np.arange(canvas.camera.height, dtype=np.int32)[:, None]
    columns = np.arange(canvas.camera.width, dtype=np.int32)[None, :]
    white = (speckle(draws.word(), rows, columns) >> np.uint32(24)).astype(np.int16) - 128
    grain = (white * strength[canvas.labels]) >> 8
    np.clip(canvas.image + grain[..., None], 0, 255, out=canvas.image, casting="unsafe")
