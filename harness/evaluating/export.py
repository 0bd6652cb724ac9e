"""Label-id PNGs for a benchmark's server: checked whole, then packed.

Cityscapes' server looks for one file `<city>_<sequence>_<frame>*.png` an image, grey, 8 bits, label ids, of the image's
own size (cityscapesscripts, evaluation/evalPixelLevelSemanticLabeling.py). A wrong archive costs one of few tries.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from harness.accuracy.label_table import LabelTable
from harness.store.atomic import write_bytes
from harness.values.errors import RunError
from models.datasets.segmentation_set import ImageFiles
from models.datasets.transforms.loading import read_image, read_png

__all__ = ["check_and_pack"]

_STAMP = (1980, 1, 1, 0, 0, 0)
"""Of every file in the archive: the same answers are the same bytes."""


def check_and_pack(folder: Path, images: Sequence[ImageFiles], table: LabelTable) -> Path:
    """Check every file of an export, and pack them beside it.

    Args:
        folder: holds `<image stem>.png` for each image, and no other PNG.
        images: that were answered.
        table: the data set's labels.

    Returns:
        The archive, `<folder>.zip`.

    Raises:
        RunError: a file is missing, too many, of another size, or holds a value that no answer means; says which.
        DataError: a file is damaged.
    """
    wanted = {f"{files.image.stem}.png": files for files in images}
    found = {path.name for path in folder.glob("*.png")}
    if missing := sorted(wanted.keys() - found):
        raise RunError("an export lacks images", where=folder, observed=f"{len(missing)}: {', '.join(missing[:3])}")
    if others := sorted(found - wanted.keys()):
        raise RunError(
            "an export holds files of other images",
            where=folder,
            observed=f"{len(others)}: {', '.join(others[:3])}",
            allowed=f"the {len(wanted)} images of this evaluation",
            hint="--export with an empty folder",
        )
    allowed = set(table.ids_of_answers.tolist())
    archive = folder.with_name(f"{folder.name}.zip")
    temporary = archive.with_name(f".{archive.name}.partial")
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_DEFLATED) as packing:
        for name in sorted(wanted):
            _check(folder / name, wanted[name].image, allowed)
            packing.writestr(zipfile.ZipInfo(name, _STAMP), (folder / name).read_bytes(), zipfile.ZIP_DEFLATED)
    write_bytes(archive, temporary.read_bytes())
    temporary.unlink()
    return archive


def _check(path: Path, image: Path, allowed: set[int]) -> None:
    pixels = read_png(path, "unchanged")
    whole = _size_of(image)
    if pixels.shape != whole:
        raise RunError("an exported map isn't of its image's size", where=path, observed=pixels.shape, allowed=whole)
    if strange := sorted(set(np.unique(pixels).tolist()) - allowed):
        raise RunError("an exported map holds other values than label ids", where=path, observed=strange[:5])


def _size_of(image: Path) -> tuple[int, int]:
    """(height, width); of a PNG from its header."""
    if image.suffix != ".png":
        pixels = read_image(image)
        return pixels.shape[0], pixels.shape[1]
    with image.open("rb") as file:
        header = file.read(24)
    return int.from_bytes(header[20:24], "big"), int.from_bytes(header[16:20], "big")
