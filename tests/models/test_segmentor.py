"""The segmentor as mmengine's Runner and the harness use it."""

import math
import re

import pytest
import torch
import torch.nn.functional as F

from harness.values.errors import DataError, ModelError
from models import build_model, draw_start_weights
from models.losses import CrossEntropyLoss, confusion_matrix, pixel_accuracy
from models.preprocessor import SegDataPreProcessor

NAMES = {
    "ann_small": ["decode.loss_ce", "decode.acc_seg", "aux.loss_ce", "aux.acc_seg"],
    "ocrnet_small": ["decode_0.loss_ce", "decode_0.acc_seg", "decode_1.loss_ce", "decode_1.acc_seg"],
}


@pytest.fixture
def batch():
    labels = torch.arange(64 * 64).remainder(19).view(1, 64, 64).repeat(2, 1, 1)
    labels[:, :8] = 255
    return torch.linspace(-2, 2, 2 * 3 * 64 * 64).view(2, 3, 64, 64), labels


@pytest.mark.parametrize(
    ("small", "field", "width"),
    [
        ("ann_small", "ann_r50-d8_4xb2-40k_cityscapes-512x1024", 1 / 4),
        ("ccnet_small", "ccnet_r50-d8_4xb2-40k_cityscapes-512x1024", 1 / 4),
        ("emanet_small", "emanet_r50-d8_4xb2-80k_cityscapes-512x1024", 1 / 4),
        ("ocrnet_small", "ocrnet_hr18s_4xb2-40k_cityscapes-512x1024", 1 / 2),
        ("pspnet_small", "pspnet_r50-d8_4xb2-40k_cityscapes-512x1024", 1 / 4),
        ("deeplabv3plus_small", "deeplabv3plus_r50-d8_4xb2-40k_cityscapes-512x1024", 1 / 4),
        ("fcn_small", "fcn_r50-d8_4xb2-40k_cityscapes-512x1024", 1 / 4),
    ],
)
def test_a_small_case_has_every_layer_of_the_fields_model(small, field, width):
    with torch.device("meta"):
        thin, whole = build_model(small).state_dict(), build_model(field).state_dict()
    # HRNet's later modules are its first one again.
    whole = {name: weight for name, weight in whole.items() if not re.search(r"stage(3\.[12]|4\.1)\.", name)}
    assert list(thin) == list(whole)
    assert all(thin[name].shape[2:] == whole[name].shape[2:] for name in whole if not name.endswith("bases"))
    # The least is a weight between two hidden layers: thinner on either side.
    assert min(thin[name].numel() / whole[name].numel() for name in whole) == width**2


@pytest.mark.parametrize("name", NAMES)
def test_the_losses_have_mmsegmentations_names(name, batch):
    model = build_model(name)
    draw_start_weights(model, 0)
    losses = model.losses(*batch)
    assert list(losses) == NAMES[name]
    assert all(torch.isfinite(value) and value.ndim == 0 for value in losses.values())
    assert model(batch[0], {"gt_sem_seg": batch[1]}, mode="loss").keys() == losses.keys()


def test_logits_are_not_resized_and_classes_are(batch):
    model = build_model("ann_small").eval()
    with torch.no_grad():
        assert model.logits(batch[0]).shape == (2, 19, 8, 8)
        assert torch.equal(model(batch[0]), model.logits(batch[0]))
        assert model(batch[0], mode="predict").shape == (2, 64, 64)


def test_a_wrong_mode_and_missing_labels_are_refused(batch):
    model = build_model("ann_small")
    with pytest.raises(ModelError, match="loss, tensor, predict"):
        model(batch[0], mode="train")
    with pytest.raises(ModelError, match="gt_sem_seg"):
        model(batch[0], mode="loss")


def test_batch_norm_is_plain_outside_a_distributed_job():
    model = build_model("ccnet_small")
    assert not any(isinstance(layer, torch.nn.SyncBatchNorm) for layer in model.modules())


def test_cross_entropy_divides_by_the_ignored_pixels_too():
    logits, labels = torch.randn(2, 5, 4, 4, dtype=torch.float64), torch.randint(0, 5, (2, 4, 4))
    labels[0] = 255
    total = F.cross_entropy(logits, labels, ignore_index=255, reduction="sum")
    assert CrossEntropyLoss(0.4)(logits, labels).item() == pytest.approx(0.4 * total.item() / 32, rel=1e-12)
    counted = CrossEntropyLoss(0.4, avg_non_ignore=True)(logits, labels)
    assert counted.item() == pytest.approx(0.4 * total.item() / 16, rel=1e-12)


def test_accuracy_counts_labelled_pixels_alone():
    labels = torch.tensor([[[0, 1], [1, 255]]])
    logits = F.one_hot(torch.tensor([[[0, 1], [0, 1]]]), 2).permute(0, 3, 1, 2).float()
    assert pixel_accuracy(logits, labels).item() == pytest.approx(200 / 3)
    assert pixel_accuracy(logits, torch.full_like(labels, 255)).item() == 0.0


class TestPreprocessor:
    mean, std = (128.0, 128.0, 128.0), (64.0, 64.0, 64.0)

    def test_every_pixel_is_exact(self):
        image = torch.arange(256, dtype=torch.uint8).view(1, 16, 16).repeat(3, 1, 1)
        inputs = SegDataPreProcessor(self.mean, self.std)({"inputs": [image]})["inputs"]
        assert torch.equal(inputs[0].double(), (image.double() - 128) / 64)

    def test_channels_are_turned_where_asked(self):
        image = torch.stack([torch.full((2, 2), c, dtype=torch.uint8) for c in (0, 64, 128)])
        inputs = SegDataPreProcessor(self.mean, self.std, bgr_to_rgb=True)({"inputs": [image]})["inputs"]
        assert inputs[0, :, 0, 0].tolist() == [0.0, -1.0, -2.0]

    @pytest.mark.parametrize("as_list", [True, False])
    def test_labels_come_as_one_tensor(self, as_list):
        maps = [torch.full((2, 3), value, dtype=torch.uint8) for value in (1, 255)]
        samples = [{"gt_sem_seg": x} for x in maps] if as_list else {"gt_sem_seg": maps}
        batch = {"inputs": [torch.zeros(3, 2, 3, dtype=torch.uint8)] * 2, "data_samples": samples}
        labels = SegDataPreProcessor(self.mean, self.std)(batch)["data_samples"]["gt_sem_seg"]
        assert labels.dtype == torch.int64
        assert labels.tolist() == [[[1] * 3] * 2, [[255] * 3] * 2]

    def test_smaller_crops_are_padded_and_ignored(self):
        batch = {
            "inputs": [torch.zeros(3, 2, 2, dtype=torch.uint8)],
            "data_samples": [{"gt_sem_seg": torch.zeros(2, 2, dtype=torch.uint8)}],
        }
        out = SegDataPreProcessor(self.mean, self.std, size=(2, 3))(batch)
        assert out["inputs"][0, 0].tolist() == [[-2.0, -2.0, 0.0]] * 2
        assert out["data_samples"]["gt_sem_seg"].tolist() == [[[0, 0, 255]] * 2]

    def test_crops_of_unequal_size_are_refused(self):
        images = [torch.zeros(3, 2, 2, dtype=torch.uint8), torch.zeros(3, 2, 3, dtype=torch.uint8)]
        with pytest.raises(DataError, match=r"\(2, 2\), \(2, 3\)"):
            SegDataPreProcessor(self.mean, self.std)({"inputs": images})


def test_a_case_starts_with_every_class_as_likely(batch):
    model = build_model("ann_small")
    draw_start_weights(model, 0)
    labelled = (batch[1] != 255).double().mean().item()
    assert model.losses(*batch)["decode.loss_ce"].item() == pytest.approx(math.log(19) * labelled, rel=0.2)


def test_the_confusion_matrix_counts_labelled_pixels_by_label_and_answer():
    logits = torch.eye(3)[torch.tensor([[0, 1, 2, 2, 0]])].permute(0, 2, 1)[..., None]  # answers 0 1 2 2 0
    labels = torch.tensor([0, 1, 2, 1, 255]).reshape(1, 5, 1)
    assert confusion_matrix(logits, labels).tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 1]]
    assert confusion_matrix(logits, torch.full_like(labels, 255)).sum() == 0


def test_heads_count_their_pixels_in_evaluation_mode_alone(batch):
    model, (inputs, labels) = build_model("ann_small"), batch
    assert not [name for name in model.train().losses(inputs, labels) if name.endswith("confusion")]
    confusions = {name: value for name, value in model.eval().losses(inputs, labels).items() if "confusion" in name}
    assert all(matrix.sum() == (labels != 255).sum() for matrix in confusions.values())
    assert len(confusions) == 2
