"""Online hard example mining of pixels, in the two forms of the field, which aren't the same loss.

|                         | mmsegmentation                 | the original ANN (torchcv)              |
|-------------------------|--------------------------------|-----------------------------------------|
| pixels kept at least    | `min_kept` × images            | `min_kept` of the batch of a device     |
| the loss is a mean over | all pixels, the easy ones too  | the pixels that are kept                |
| class weights           | those of its loss              | scale the loss; the mean stays plain    |

Source: Shrivastava et al., "Training Region-based Object Detectors with Online Hard Example Mining" (1604.03540); by a
threshold on the probability of the true class: mmsegmentation 1.2.2, structures/sampler/ohem_pixel_sampler.py; ANN,
models/seg/loss/seg_modules.py.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.losses import IGNORED, class_weights
from models.registry import MODELS

__all__ = ["OHEMCrossEntropyLoss", "OHEMPixelSampler"]


@MODELS.register_module()
class OHEMPixelSampler(nn.Module):
    """mmsegmentation's form, the `sampler` of a decode head: 1 where a pixel counts, 0 where it is too easy.

    Args:
        thresh: a pixel is hard where the probability of its class is below; raised until `min_kept` × images are. None
            takes the `min_kept` × images of the largest cross-entropy.
        min_kept: at least 2.

    Raises:
        ModelError: a setting is outside its bounds.
    """

    def __init__(self, thresh: float | None = None, min_kept: int = 100_000) -> None:
        super().__init__()
        _check("OHEMPixelSampler", thresh, min_kept, least=2)
        self.thresh = thresh
        self.min_kept = min_kept

    @torch.no_grad()
    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, K, H, W) and labels (N, H, W) int64 → weights (N, H, W)."""
        labelled = labels != IGNORED
        kept = self.min_kept * labels.shape[0]
        if self.thresh is not None:
            return _hard(logits, labels, self.thresh, kept).to(logits.dtype)
        losses = F.cross_entropy(logits, labels, ignore_index=IGNORED, reduction="none")[labelled]
        chosen = torch.zeros_like(losses)
        chosen[losses.sort(descending=True, stable=True).indices[:kept]] = 1.0
        weights = torch.zeros_like(labels, dtype=logits.dtype)
        weights[labelled] = chosen
        return weights


@MODELS.register_module()
class OHEMCrossEntropyLoss(nn.Module):
    """The original ANN's form: the plain mean of the weighted cross-entropy of the pixels that are kept.

    A pixel is kept where the probability of its class is strictly below max(p, `thresh`), p being the probability of
    the `min_kept`-th least likely labelled pixel of the batch that the device has. Where none is kept, the loss is 0.

    Args:
        loss_weight: factor of the loss where it enters the sum.
        thresh: a probability.
        min_kept: at least 1.
        class_weight: of the K classes; all 1 where None.

    Raises:
        ModelError: a setting is outside its bounds.
    """

    name = "loss_ce"

    def __init__(
        self,
        loss_weight: float = 1.0,
        *,
        thresh: float = 0.7,
        min_kept: int = 100_000,
        class_weight: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        _check("OHEMCrossEntropyLoss", thresh, min_kept, least=1)
        self.loss_weight = loss_weight
        self.thresh = thresh
        self.min_kept = min_kept
        self.class_weight = class_weights(class_weight, "OHEMCrossEntropyLoss")

    def forward(self, logits: Tensor, labels: Tensor) -> Tensor:
        """Logits (N, K, H, W) and labels (N, H, W) int64 → a scalar."""
        weights = None if self.class_weight is None else logits.new_tensor(self.class_weight)
        losses = F.cross_entropy(logits, labels, weights, ignore_index=IGNORED, reduction="none")
        kept = _hard(logits.detach(), labels, self.thresh, self.min_kept)
        # Without a pixel the sum, which is 0, keeps the graph whole: every rank of a distributed job has a gradient.
        return (losses * kept).sum() / kept.sum().clamp(min=1) * self.loss_weight


def _hard(logits: Tensor, labels: Tensor, thresh: float, kept: int) -> Tensor:
    """(N, H, W) bool: the labelled pixels whose class is less likely than the threshold, raised until `kept` are."""
    labelled = labels != IGNORED
    of_class = logits.softmax(dim=1).gather(1, labels.masked_fill(~labelled, 0)[:, None])[:, 0]
    ordered = of_class[labelled].sort().values
    if not len(ordered):
        return labelled
    threshold = ordered[min(kept, len(ordered) - 1)].clamp(min=thresh)
    return labelled & (of_class < threshold)


def _check(kind: str, thresh: float | None, min_kept: int, *, least: int) -> None:
    if thresh is not None and not 0 < thresh <= 1:
        raise ModelError("a probability is out of range", where=f"{kind}.thresh", observed=thresh, allowed="0 … 1")
    if type(min_kept) is not int or min_kept < least:
        raise ModelError(
            "too few pixels are kept", where=f"{kind}.min_kept", observed=min_kept, allowed=f"{least} or more"
        )
