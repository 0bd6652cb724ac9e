"""Online hard example mining in both forms, held to their definitions pixel by pixel."""

import math

import pytest
import torch
import torch.nn.functional as F

from harness.values.errors import ModelError
from models import build_model
from models.losses import CrossEntropyLoss
from models.ohem import OHEMCrossEntropyLoss, OHEMPixelSampler

WEIGHTS = (0.5, 1.0, 2.0)


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(4)
    logits = torch.randn(2, 3, 5, 7, generator=generator, dtype=torch.float64) * 2
    labels = torch.randint(0, 3, (2, 5, 7), generator=generator)
    labels[0, 0] = 255
    return logits.requires_grad_(), labels


def pixels(logits, labels):
    """(probability of the class, cross-entropy, class) of each labelled pixel, by hand."""
    found = []
    for n, row, column in torch.nonzero(labels != 255).tolist():
        scores = [math.exp(value) for value in logits[n, :, row, column].tolist()]
        of_class = int(labels[n, row, column])
        probability = scores[of_class] / sum(scores)
        found.append((probability, -math.log(probability), of_class))
    return found


@pytest.mark.parametrize(("thresh", "min_kept"), [(0.7, 1), (0.2, 1), (0.2, 40), (0.2, 10_000)])
@pytest.mark.parametrize("weights", [None, WEIGHTS])
def test_the_originals_form(batch, thresh, min_kept, weights):
    logits, labels = batch
    found = pixels(logits, labels)
    threshold = max(sorted(p for p, _, _ in found)[min(min_kept, len(found) - 1)], thresh)
    kept = [loss * (1.0 if weights is None else weights[k]) for p, loss, k in found if p < threshold]
    loss = OHEMCrossEntropyLoss(0.5, thresh=thresh, min_kept=min_kept, class_weight=weights)(logits, labels)
    assert 0 < len(kept) < len(found)
    assert loss.item() == pytest.approx(0.5 * sum(kept) / len(kept), rel=1e-12)


@pytest.mark.parametrize(("thresh", "min_kept"), [(0.7, 2), (0.2, 20), (None, 20), (None, 10_000)])
def test_mmsegmentations_form(batch, thresh, min_kept):
    logits, labels = batch
    found = pixels(logits, labels)
    if thresh is None:
        kept = sorted((loss for _, loss, _ in found), reverse=True)[: 2 * min_kept]
    else:
        threshold = max(sorted(p for p, _, _ in found)[min(2 * min_kept, len(found) - 1)], thresh)
        kept = [loss for p, loss, _ in found if p < threshold]
    loss = CrossEntropyLoss()(logits, labels, OHEMPixelSampler(thresh, min_kept)(logits, labels))
    assert loss.item() == pytest.approx(sum(kept) / labels.numel(), rel=1e-12)


def test_the_two_forms_are_two_losses(batch):
    logits, labels = batch
    one = OHEMCrossEntropyLoss(thresh=0.7, min_kept=5)(logits, labels)
    other = CrossEntropyLoss()(logits, labels, OHEMPixelSampler(0.7, 5)(logits, labels))
    assert other < 0.9 * one


def test_where_no_pixel_is_hard_or_labelled_the_loss_is_zero_and_has_a_gradient(batch):
    labels = torch.zeros(1, 4, 4, dtype=torch.int64)
    for logits, given in (
        (torch.tensor([9.0, 0.0]).view(1, 2, 1, 1).repeat(1, 1, 4, 4).requires_grad_(), labels),
        (batch[0], torch.full_like(batch[1], 255)),
    ):
        for loss in (
            OHEMCrossEntropyLoss(thresh=0.5, min_kept=2)(logits, given),
            CrossEntropyLoss()(logits, given, OHEMPixelSampler(0.5, 2)(logits, given)),
        ):
            assert loss.item() == 0.0
            (gradient,) = torch.autograd.grad(loss, logits)
            assert not gradient.any()


def test_class_weights_are_pytorchs_weighted_mean(batch):
    logits, labels = batch
    loss = CrossEntropyLoss(0.4, avg_non_ignore=True, class_weight=WEIGHTS)(logits, labels)
    expected = F.cross_entropy(logits, labels, torch.tensor(WEIGHTS, dtype=torch.float64), ignore_index=255)
    torch.testing.assert_close(loss, 0.4 * expected, rtol=1e-12, atol=0.0)


@pytest.mark.parametrize(
    ("build", "told"),
    [
        (lambda: CrossEntropyLoss(class_weight=WEIGHTS), "avg_non_ignore"),
        (lambda: CrossEntropyLoss(avg_non_ignore=True, class_weight=(1.0, -1.0)), "class_weight"),
        (lambda: OHEMCrossEntropyLoss(class_weight=(0.0, 0.0)), "class_weight"),
        (lambda: OHEMCrossEntropyLoss(thresh=0.0), "thresh"),
        (lambda: OHEMPixelSampler(0.7, 1), "min_kept"),
    ],
)
def test_settings_that_cannot_be_meant(build, told):
    with pytest.raises(ModelError, match=told):
        build()


def test_a_head_takes_a_sampler_and_refuses_one_beside_a_loss_of_its_own():
    head = {
        "type": "FCNHead",
        "in_channels": 4,
        "channels": 4,
        "num_classes": 3,
        "sampler": {"type": "OHEMPixelSampler", "thresh": 0.7},
    }
    built = build_model(head)
    logits, labels = torch.zeros(2, 3, 4, 4), torch.zeros(2, 4, 4, dtype=torch.int64)
    assert built.losses(logits, labels)["loss_ce"].item() == pytest.approx(math.log(3))
    with pytest.raises(ModelError, match="takes no weights of pixels"):
        build_model({**head, "loss_decode": {"type": "OHEMCrossEntropyLoss"}})
