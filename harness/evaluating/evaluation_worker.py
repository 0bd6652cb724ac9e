"""The child process of an evaluation: opens the device, loads the model, answers its share of the images."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from harness.devices.choice import choose_device
from harness.evaluating.evaluation_folder import COUNTS, DEVICE, ERROR, ORDER, answer_file, export_file, margin_file
from harness.evaluating.evaluation_order import EvaluationOrder
from harness.running.libraries import missing_library
from harness.running.lifeline import die_with_parent
from harness.running.told import Told
from harness.store.atomic import write_bytes, write_text
from harness.store.decoding import encode_value
from harness.values.errors import AlignmentError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt
    import torch

    from harness.inference.inference import Answer

__all__ = ["main"]


def main(arguments: Sequence[str]) -> int:
    """Evaluate as the order of a folder says.

    Args:
        arguments: the folder, and the number of the part.

    Returns:
        0, or 2 where it can't be done for a reason that ``error-<part>.json`` then tells.
    """
    folder, part = Path(arguments[0]), int(arguments[1])
    die_with_parent()
    try:
        try:
            _run(EvaluationOrder.read(folder / ORDER.format(part)), folder)
        except ImportError as failure:
            raise missing_library(failure) or failure from None
    except AlignmentError as error:
        write_text(folder / ERROR.format(part), encode_value(Told.of(error), schema=Told.SCHEMA))
        print(error, file=sys.stderr)
        return 2
    return 0


def _run(order: EvaluationOrder, folder: Path) -> None:
    """The device is opened before anything of torch has run: the emulated one can't be afterwards."""
    from harness.devices.device_opening import open_device
    from harness.devices.fault_registry import parse_fault

    faults = tuple(parse_fault(text) for text in order.faults)
    choice = choose_device(order.device)
    told = open_device(choice, order.profile, faults, trusted=order.trusted)
    write_text(folder / DEVICE.format(order.part), encode_value(told, schema=1))

    import torch

    from harness.accuracy.image_counts import count_image
    from harness.evaluating.counts_stream import CountsStream, ImageRow
    from harness.inference.inference import answer_image, count_passes
    from harness.running.cases import load_configured_case
    from models.datasets.evaluation_set import evaluation_set
    from models.datasets.transforms.loading import read_image

    _, config = load_configured_case(order.config, order.options, import_modules=True)
    data = evaluation_set(config, order.split, order.data_root)
    model = _model(config, order.checkpoint)
    name = choice.kind if choice.index is None else f"{choice.kind}:{choice.index}"
    device = torch.device(name)
    model = model.to(device).eval()
    stream = CountsStream(folder / COUNTS.format(order.part))
    names = data.table.ids_of_answers
    chosen = range(len(data.files)) if order.images is None else order.images
    for index in chosen:
        files = data.files[index]
        image = read_image(files.image)
        size = (image.shape[0], image.shape[1])
        started = time.perf_counter()
        with _noise(order, index):
            answer = answer_image(model, image, order.inference, device, data.table.classes)
        seconds = time.perf_counter() - started
        ids = names[answer.classes]
        passes = count_passes(size, order.inference)
        _keep(answer, files.name, folder, margins=order.keep_margins)
        if order.export:
            _export(ids, export_file(Path(order.export), files.name, order.export_ending))
        if files.labels is None:
            stream.write(ImageRow(files.name, size, seconds, passes))
            continue
        labels = data.read_labels(files, size)
        counts = count_image(files.name, ids, labels, data.table, data.read_instances(files, size), seconds)
        stream.write(ImageRow.of(counts, passes))
    stream.close()


def _model(config: Any, checkpoint: str) -> torch.nn.Module:
    """The model of a config, of this project's own or of any package that registers its parts."""
    from mmengine.registry import MODELS, DefaultScope

    from models.build import build_model
    from models.checkpoint import load_checkpoint
    from models.registry import SCOPE

    scope = config.get("default_scope", SCOPE)
    if scope == SCOPE:
        return build_model(config, checkpoint)
    with DefaultScope.overwrite_default_scope(scope):
        model: torch.nn.Module = MODELS.build(config.model)
    load_checkpoint(model, checkpoint)
    return model


def _noise(order: EvaluationOrder, index: int) -> AbstractContextManager[Any]:
    """Other rounding, drawn anew for each image: what a healthy device may do differently."""
    if not order.noise_tier:
        return nullcontext()
    from harness.recording.healthy_noise import HealthyNoise

    return HealthyNoise(tier=order.noise_tier, seed=order.noise_seed * 1_000_003 + index)


def _keep(answer: Answer, name: str, folder: Path, *, margins: bool) -> None:
    """Before the image's counts: what is counted has its answers."""
    from harness.evaluating.kept_answers import encode_margins, encode_png
    from harness.inference.inference import margins_of

    write_bytes(answer_file(folder, name), encode_png(answer.classes))
    if margins:
        write_bytes(margin_file(folder, name), encode_png(encode_margins(margins_of(answer))))


def _export(ids: npt.NDArray[np.int64], path: Path) -> None:
    from harness.evaluating.kept_answers import encode_png

    write_bytes(path, encode_png(ids.astype("uint8")))
