"""Weights from files: exact, and without running what is in them."""

import pickle

import pytest
import torch
from safetensors.torch import save_file

from harness.values.errors import ModelError
from models import build_model, draw_start_weights, load_checkpoint, weights_digest
from models.resnet import ResNetV1c


@pytest.fixture(scope="module")
def trained():
    model = ResNetV1c(depth=18)
    draw_start_weights(model, 3)
    return model


def _fresh():
    return ResNetV1c(depth=18)


def test_a_checkpoint_of_openmmlabs_form_is_loaded(trained, tmp_path):
    path = tmp_path / "model.pth"
    weights = {f"module.{name}": tensor for name, tensor in trained.state_dict().items()}
    torch.save({"meta": {"epoch": 1, "CLASSES": ("road",)}, "state_dict": weights}, path)
    model = _fresh()
    load_checkpoint(model, path)
    assert weights_digest(model) == weights_digest(trained)


def test_a_plain_state_dict_and_safetensors_are_loaded(trained, tmp_path):
    torch.save(trained.state_dict(), tmp_path / "model.pth")
    save_file(trained.state_dict(), tmp_path / "model.safetensors")
    for path in sorted(tmp_path.iterdir()):
        model = _fresh()
        load_checkpoint(model, path)
        assert weights_digest(model) == weights_digest(trained)


@pytest.mark.parametrize("prefix", ["", "backbone."])
def test_a_backbone_is_loaded_from_a_classifiers_checkpoint(trained, tmp_path, prefix):
    weights = {prefix + name: tensor for name, tensor in trained.state_dict().items()}
    weights |= {"fc.weight": torch.zeros(10, 512), "head.fc.bias": torch.zeros(10)}
    old = {name: tensor for name, tensor in weights.items() if not name.endswith("num_batches_tracked")}
    torch.save({"state_dict": old}, tmp_path / "classifier.pth")
    model = ResNetV1c(depth=18, checkpoint=str(tmp_path / "classifier.pth"))
    assert weights_digest(model) == weights_digest(trained)


def test_a_missing_an_unknown_and_a_misshapen_tensor_are_named(trained, tmp_path):
    weights = dict(trained.state_dict())
    del weights["stem.0.weight"]
    weights["layer9.weight"] = torch.zeros(1)
    weights["stem.3.weight"] = torch.zeros(32, 32, 1, 1)
    torch.save(weights, tmp_path / "model.pth")
    with pytest.raises(ModelError) as error:
        load_checkpoint(_fresh(), tmp_path / "model.pth")
    assert "1 missing (stem.0.weight)" in error.value.observed
    assert "1 unknown (layer9.weight)" in error.value.observed
    assert "stem.3.weight: (32, 32, 1, 1) instead of (32, 32, 3, 3)" in error.value.observed


class _Trap:
    def __reduce__(self):
        return (pytest.fail, ("a checkpoint's code was run",))


@pytest.mark.parametrize("legacy", [False, True])
def test_code_in_a_checkpoint_is_never_run(tmp_path, legacy):
    path = tmp_path / "trap.pth"
    if legacy:
        path.write_bytes(pickle.dumps({"state_dict": _Trap()}, protocol=2))
    else:
        torch.save({"state_dict": _Trap()}, path)
    with pytest.raises(ModelError, match="weights alone"):
        load_checkpoint(_fresh(), path)


@pytest.mark.parametrize("content", [b"", b"not a checkpoint", b"PK\x03\x04 cut"])
@pytest.mark.parametrize("name", ["model.pth", "model.safetensors"])
def test_a_damaged_file_is_refused(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ModelError, match=name):
        load_checkpoint(_fresh(), tmp_path / name)


def test_a_file_without_a_state_dict_is_refused(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(ModelError, match="no state dict"):
        load_checkpoint(_fresh(), tmp_path / "list.pth")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.pth"):
        build_model("ann_small", tmp_path / "gone.pth")
