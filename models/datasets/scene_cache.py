"""Generated scenes on disk: drawn once for each setting, whole or not there at all."""

from __future__ import annotations

import hashlib
from dataclasses import astuple
from pathlib import Path

from harness.store.cache_place import SCENES, cache_root
from harness.store.temporary import owned_folder
from harness.values.errors import DataError
from models.datasets.scenes import REVISION, SceneSet, write_scenes

__all__ = ["cached_scenes"]


def cached_scenes(scenes: SceneSet, split: str) -> Path:
    """The folder of these scenes, drawn now unless it is there.

    They are drawn into a folder of another name, which is renamed when the last file is written. So a folder with the
    right name is whole, whenever the process was killed; and of two processes that draw at once, one comes first and
    the other drops its own.

    Args:
        scenes: what to draw.
        split: "train" or "val"; the two hold different scenes.

    Returns:
        A data root in the layout of Cityscapes.

    Raises:
        DataError: the cache can't be written, or images were taken out of it.
    """
    digest = hashlib.sha256(repr((REVISION, split, *astuple(scenes))).encode()).hexdigest()[:16]
    whole = cache_root() / f"{SCENES}{digest}"
    if whole.is_dir():
        return _complete(whole, scenes.count)
    try:
        whole.parent.mkdir(parents=True, exist_ok=True)
        with owned_folder(f"{whole.name}.partial-", whole.parent) as partial:
            write_scenes(partial, scenes, split)
            _settle(partial, whole)
    except OSError as error:
        raise DataError(
            "Generated scenes can't be kept",
            where=whole,
            observed=error.strerror or error,
            allowed="a folder that can be written",
            hint="set ALIGN_CACHE to one",
        ) from error
    return whole


def _complete(whole: Path, count: int) -> Path:
    """The folder, unless somebody took pictures out of it."""
    found = sum(1 for _ in whole.glob("leftImg8bit/*/*/*.png"))
    if found != count:
        raise DataError(
            "Generated scenes are missing from their folder",
            where=whole,
            observed=f"{found} images",
            allowed=f"{count}",
            hint=f"rm -r {whole}; the next run draws them anew",
        )
    return whole


def _settle(partial: Path, whole: Path) -> None:
    partial.chmod(0o755)  # mkdtemp's 0700 would lock out the others who share this cache
    try:
        partial.rename(whole)
    except OSError:
        if not whole.is_dir():
            raise
