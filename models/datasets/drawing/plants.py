"""Trees and hedges."""

from __future__ import annotations

import numpy as np

from models.datasets.drawing.canvas import Canvas
from models.datasets.drawing.textures import smooth_noise
from models.datasets.draws import Draws

__all__ = ["draw_crown", "draw_tree"]

_GREENS = ((74, 98, 46), (88, 108, 52), (62, 88, 48), (104, 112, 54), (84, 96, 60))


def draw_crown(canvas: Canvas, centre: tuple[int, int, int], size: tuple[int, int], draws: Draws) -> None:
    """A mass of leaves around (X, Y, Z), `size` its half axes across and up, in cm; it ends at the ground."""
    x, y, z = centre
    camera = canvas.camera
    column, row = camera.pixel(x, y, z)
    wide, high = (max(2, camera.extent(length, z)) for length in size)
    ground = camera.pixel(x, 0, z)[1]
    window = canvas.window(row - high, min(row + high + 1, ground), column - wide, column + wide + 1)
    key, green = draws.word(), draws.pick(_GREENS)
    if window is None:
        return
    rows, columns = (range(part.start, part.stop) for part in window)
    clumps = smooth_noise(key, rows, columns, max(1, wide // 3))
    leaves = smooth_noise(key + 1, rows, columns, max(1, wide // 10))
    up, across = np.ogrid[window]
    up, across = ((up - row) * 256 // high).astype(np.int32), ((across - column) * 256 // wide).astype(np.int32)
    inside = up * up + across * across <= 256 * (120 + clumps * 2 // 3 + leaves // 4)
    light = 100 + (clumps - 128) // 4 + (leaves - 128) // 3 - up // 8
    paint = np.array(green, dtype=np.int32) * light[..., None] // 100
    canvas.stamp(window, inside, canvas.hazed(paint, np.full((1, 1), z, dtype=np.int32)), "vegetation")


def draw_tree(canvas: Canvas, x: int, z: int, draws: Draws) -> None:
    """A street tree: trunk, and a crown of several masses."""
    height, girth = draws.between(280, 420), draws.between(14, 22)
    canvas.box(z, (x - girth, 0), (x + girth, height), (78, 66, 54), "vegetation")
    spread = draws.between(150, 260)
    for _ in range(4):
        middle = x + draws.between(-spread // 2, spread // 2), height + draws.between(0, spread), z
        draw_crown(canvas, middle, (spread, spread * 4 // 5), draws)
