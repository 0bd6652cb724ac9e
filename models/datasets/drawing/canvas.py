"""The picture, its label map, and the camera that they are seen through."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, final

import numpy as np
import numpy.typing as npt

from models.datasets.labels import LABELS

__all__ = ["LABEL", "Camera", "Canvas", "Colour", "Points", "mixed", "shaded"]

Colour = tuple[int, int, int]
"""RGB, 0–255 each."""

Points = Sequence[tuple[int, int]]

LABEL: Final = {label.name: label.id for label in LABELS}

_NEAREST: Final = 150
"""Points closer than this, in cm, are drawn as if they were here: there is nothing to divide by at 0."""

_HAZE: Final = 220
"""How many cm add one percent of haze."""

_THICKEST: Final = 70


def mixed(colour: Colour, other: Colour, percent: int) -> Colour:
    """The colour with this percentage of the other."""
    red, green, blue = (own + (its - own) * percent // 100 for own, its in zip(colour, other, strict=True))
    return red, green, blue


def shaded(colour: Colour, percent: int) -> Colour:
    """The colour at this percentage of its brightness."""
    red, green, blue = (min(255, own * percent // 100) for own in colour)
    return red, green, blue


@final
@dataclass(frozen=True)
class Camera:
    """A pinhole camera that looks straight down the street.

    Args:
        height: of the picture, in pixels.
        width: of the picture, in pixels.
        pitch: how far the horizon lies below the middle of the picture, in 1/100 of its height; negative is above.
        eye: height of the camera over the ground, in cm.
    """

    height: int
    width: int
    pitch: int = -7
    eye: int = 165

    @property
    def focal(self) -> int:
        """Focal length in pixels; a picture twice as wide as high spans 67 degrees."""
        return self.height * 3 // 2

    @property
    def horizon(self) -> int:
        """The row of the horizon."""
        return self.height * (50 + self.pitch) // 100

    @property
    def centre(self) -> int:
        """The column that lies straight ahead."""
        return self.width // 2

    @property
    def above(self) -> tuple[slice, slice]:
        """The part of the picture down to the horizon."""
        return slice(0, self.horizon + 1), slice(0, self.width)

    @property
    def below(self) -> tuple[slice, slice]:
        """The part of the picture that the ground fills."""
        return slice(self.horizon + 1, self.height), slice(0, self.width)

    def pixel(self, x: int, y: int, z: int) -> tuple[int, int]:
        """Column and row of a point of the street."""
        z = max(z, _NEAREST)
        return self.centre + self.focal * x // z, self.horizon - self.focal * (y - self.eye) // z

    def extent(self, length: int, z: int) -> int:
        """How many pixels a length takes at this distance; at least 1."""
        return max(1, self.focal * length // max(z, _NEAREST))


@final
class Canvas:
    """A picture (H, W, 3) uint8 RGB and its label ids (H, W) uint8, painted over from far to near.

    What is painted with a label belongs to the object that is being drawn: ``object``, which whoever draws counts up,
    0 for what is no object. ``objects`` (H, W) uint16 has the number of each pixel.

    Args:
        camera: what it is seen through.
        haze: the colour that distance fades to.
    """

    def __init__(self, camera: Camera, haze: Colour) -> None:
        self.camera = camera
        self.haze = haze
        self.image: npt.NDArray[np.uint8] = np.zeros((camera.height, camera.width, 3), dtype=np.uint8)
        self.labels: npt.NDArray[np.uint8] = np.zeros((camera.height, camera.width), dtype=np.uint8)
        self.object = 0
        self.objects: npt.NDArray[np.uint16] = np.zeros((camera.height, camera.width), dtype=np.uint16)

    def faded(self, colour: Colour, z: int) -> Colour:
        """The colour as it looks from this far away."""
        return mixed(colour, self.haze, min(z // _HAZE, _THICKEST))

    def hazed(self, paint: npt.NDArray[np.int32], z: npt.NDArray[np.int32]) -> npt.NDArray[np.uint8]:
        """The same for many pixels: colours (H, W, 3) at distances that broadcast to (H, W)."""
        percent = np.minimum(z // _HAZE, _THICKEST)[..., None]
        faded = paint + (np.array(self.haze, dtype=np.int32) - paint) * percent // 100
        seen: npt.NDArray[np.uint8] = np.clip(faded, 0, 255).astype(np.uint8)
        return seen

    def facing(self, z: int, outline: Points, colour: Colour, label: str | None) -> None:
        """Fill an outline of (X, Y) on the plane at distance `z` that faces the camera."""
        self.polygon([self.camera.pixel(x, y, z) for x, y in outline], self.faded(colour, z), label)

    def along(self, x: int, outline: Points, colour: Colour, label: str | None) -> None:
        """Fill an outline of (Z, Y) on the plane at `x` that runs along the street."""
        near = min(z for z, _ in outline)
        self.polygon([self.camera.pixel(x, y, z) for z, y in outline], self.faded(colour, near), label)

    def flat(self, outline: Points, colour: Colour, label: str | None) -> None:
        """Fill an outline of (X, Z) on the ground."""
        near = min(z for _, z in outline)
        self.polygon([self.camera.pixel(x, 0, z) for x, z in outline], self.faded(colour, near), label)

    def box(self, z: int, low: tuple[int, int], high: tuple[int, int], colour: Colour, label: str | None) -> None:
        """Fill the rectangle from corner `low` to corner `high`, (X, Y) each, facing the camera."""
        self.facing(z, [low, (low[0], high[1]), high, (high[0], low[1])], colour, label)

    def line(
        self, z: int, start: tuple[int, int], end: tuple[int, int], width: int, colour: Colour, label: str
    ) -> None:
        """Draw a bar between two points (X, Y), `width` cm wide, facing the camera."""
        (x0, y0), (x1, y1) = start, end
        across = abs(x1 - x0) > abs(y1 - y0)
        dx, dy = (0, width // 2) if across else (width // 2, 0)
        self.facing(z, [(x0 - dx, y0 - dy), (x1 - dx, y1 - dy), (x1 + dx, y1 + dy), (x0 + dx, y0 + dy)], colour, label)

    def disc(self, z: int, centre: tuple[int, int], radius: int, colour: Colour, label: str | None) -> None:
        """Fill a disc around (X, Y), facing the camera."""
        column, row = self.camera.pixel(*centre, z)
        size = self.camera.extent(radius, z)
        self.ellipse(column, row, size, size, self.faded(colour, z), label)

    def polygon(self, corners: Points, colour: Colour, label: str | None) -> None:
        """Fill a polygon of (column, row), even-odd; what is thinner than a pixel still shows."""
        columns, rows = [corner[0] for corner in corners], [corner[1] for corner in corners]
        window = self.window(min(rows), max(rows) + 1, min(columns), max(columns) + 1)
        if window is None:
            return
        row, column = np.ogrid[window]
        inside = np.zeros((row.size, column.size), dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, [*corners[1:], corners[0]], strict=True):
            if y0 != y1:
                crossed = (row >= min(y0, y1)) & (row < max(y0, y1))
                inside ^= crossed & (column < x0 + (row - y0) * (x1 - x0) // (y1 - y0))
        if max(columns) - min(columns) < 2 or max(rows) - min(rows) < 2:
            inside[:] = True
        self.stamp(window, inside, colour, label)

    def ellipse(self, column: int, row: int, wide: int, high: int, colour: Colour, label: str | None) -> None:
        """Fill an ellipse by its centre and half axes in pixels."""
        window = self.window(row - high, row + high + 1, column - wide, column + wide + 1)
        if window is None:
            return
        y, x = np.ogrid[window]
        inside = ((x - column) * 256 // wide) ** 2 + ((y - row) * 256 // high) ** 2 <= 256 * 256
        self.stamp(window, inside, colour, label)

    def window(self, top: int, bottom: int, left: int, right: int) -> tuple[slice, slice] | None:
        """The part of a rectangle of pixels that is on the canvas, or None."""
        top, bottom = max(top, 0), min(bottom, self.camera.height)
        left, right = max(left, 0), min(right, self.camera.width)
        return (slice(top, bottom), slice(left, right)) if top < bottom and left < right else None

    def stamp(
        self,
        window: tuple[slice, slice],
        inside: npt.NDArray[np.bool_] | slice,
        colour: Colour | npt.NDArray[np.uint8],
        label: str | None,
    ) -> None:
        """Paint the window where `inside` holds, in one colour or in (H, W, 3) of them; no label keeps the old ones."""
        self.image[window][inside] = colour if isinstance(colour, tuple) else colour[inside]
        if label is not None:
            self.labels[window][inside] = LABEL[label]
            self.objects[window][inside] = self.object
