"""A loss whose labels are of classes that it hasn't is asked of nobody: PyTorch's backward writes where they point."""

import pytest
import torch

from harness.shadow.probing.lone_call import Asking, LoneCall

aten = torch.ops.aten

LOSSES = {
    "maps": (aten.nll_loss2d_backward.default, (2, 4, 3, 5), (2, 3, 5)),
    "rows": (aten.nll_loss_backward.default, (6, 4), (6,)),
    "one": (aten.nll_loss_backward.default, (4,), ()),
}


def backward(kind, label):
    op, logits, labels = LOSSES[kind]
    target = torch.full(labels, 3)
    target.reshape(-1)[0] = label
    return LoneCall.of(
        op,
        grad_output=torch.tensor(1.0),
        self=torch.randn(logits).log_softmax(-1),
        target=target,
        weight=None,
        reduction=1,
        ignore_index=255,
        total_weight=torch.tensor(float((target != 255).sum())),
    )


@pytest.mark.parametrize("kind", LOSSES)
@pytest.mark.parametrize(
    ("label", "answered"), [(3, True), (0, True), (255, True), (4, False), (-1, False), (10**9, False)]
)
def test_labels_are_of_classes_that_there_are(kind, label, answered):
    call = backward(kind, label)
    assert Asking._refused_by_host(call) is not answered
    assert bool(Asking("cpu", "fp32").ask(call)) is answered
