"""The files of an evaluation: the names in its folder."""

from __future__ import annotations

from pathlib import Path

__all__ = [
    "ANSWERS",
    "COUNTS",
    "DEVICE",
    "ERROR",
    "IDENTITY",
    "MARGINS",
    "ORDER",
    "OUTPUT",
    "SCORES",
    "TABLE",
    "answer_file",
    "counts_files",
    "export_file",
    "margin_file",
]

IDENTITY = "evaluation.json"
"""What is evaluated and how: an evaluation goes on in a folder only where this is equal."""

ORDER, COUNTS, DEVICE, ERROR, OUTPUT = (
    "order-{}.json", "counts-{}.jsonl", "device-{}.json", "error-{}.json", "output-{}.log",
)  # fmt: skip
"""Of each process."""

ANSWERS, MARGINS = "answers", "margins"
"""Folders: of each image the class of each pixel, and how far it was ahead of the next."""

SCORES, TABLE = "scores.json", "scores.txt"


def counts_files(folder: Path) -> list[Path]:
    """The counts of all processes that there were."""
    return sorted(folder.glob(COUNTS.format("*")))


def answer_file(folder: Path, image: str) -> Path:
    """The answers of an image."""
    return folder / ANSWERS / f"{image}.png"


def margin_file(folder: Path, image: str) -> Path:
    """The margins of an image."""
    return folder / MARGINS / f"{image}.png"


def export_file(export: Path, image: str, ending: str) -> Path:
    """The label-id map of an image for a benchmark's server, which asks for no folders."""
    return export / f"{image.rpartition('/')[2]}{ending}"
