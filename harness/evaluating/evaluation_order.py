"""What a process needs to know to evaluate its share of the images."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import final

from harness.inference.inference_settings import InferenceSettings
from harness.store.atomic import write_text
from harness.store.decoding import encode_value, read_value
from harness.values.errors import RunError

__all__ = ["EvaluationOrder"]

_SCHEMA = 1


@final
@dataclass(frozen=True)
class EvaluationOrder:
    """One evaluation, or a process's share of it.

    Args:
        config: the config file.
        checkpoint: the file of the whole model's weights.
        device: as ``harness.devices.choice.choose_device`` takes it.
        profile: numerics profile of the emulated device; its own default where empty.
        faults: faults to put in, as the command line spells them.
        options: ``--cfg-options``, as the command line spells them.
        split: train, val or test.
        data_root: where the data set lies; what the config says where None.
        inference: how the model is asked.
        images: which of the data set's images, by their place; all where None.
        noise_tier: precision tier of healthy noise that is laid over the passes; none where empty.
        noise_seed: which healthy repeat it is.
        trusted: whether it is a reference's: the device's own shortcuts in precision are switched off.
        keep_margins: whether the margin of each pixel is kept beside its answer.
        export: a folder for label-id PNGs under the images' own names; none where empty.
        export_ending: what follows an image's own name in such a file.
        part: which process's share it is.
    """

    config: str
    checkpoint: str
    device: str
    profile: str = ""
    faults: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    split: str = "val"
    data_root: str | None = None
    inference: InferenceSettings = field(default_factory=InferenceSettings)
    images: tuple[int, ...] | None = None
    noise_tier: str = ""
    noise_seed: int = 0
    trusted: bool = False
    keep_margins: bool = False
    export: str = ""
    export_ending: str = ".png"
    part: int = 0

    def write(self, path: Path) -> None:
        """Write it as JSON."""
        write_text(path, encode_value(self, schema=_SCHEMA))

    @classmethod
    def read(cls, path: Path) -> EvaluationOrder:
        """Read it.

        Raises:
            RunError: the file is missing or damaged.
        """
        return read_value(path, cls, RunError, schema=_SCHEMA)
