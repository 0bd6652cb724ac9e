"""A backbone's checkpoint is what the run starts from, and another checkpoint is another experiment."""

import pytest
import torch

from harness.running.cases import find_case
from harness.running.order import Order
from harness.running.watchdog import execute
from models import build_model, draw_start_weights

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def backbone():
    return build_model(str(find_case("ann_small").config)).backbone


def provenance_of(backbone, seed, folder):
    draw_start_weights(backbone, seed)
    folder.mkdir()
    torch.save(backbone.state_dict(), folder / "weights.pth")
    options = (f"model.backbone.checkpoint={folder / 'weights.pth'}",)
    order = Order(config=str(find_case("ann_small").config), device="cpu", options=options, iterations=1)
    return execute(order, folder / "run").provenance


def test_its_weights_are_kept_wherever_the_file_lies(backbone, tmp_path):
    first, again, other = (
        provenance_of(backbone, seed, tmp_path / name) for seed, name in ((1, "first"), (1, "again"), (2, "other"))
    )
    assert first.start == "generated, but a checkpoint's in backbone"
    assert first.weights == again.weights
    assert first.settings == again.settings
    assert other.weights != first.weights
    assert other.settings == first.settings
