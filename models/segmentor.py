"""EncoderDecoder: preprocessor → backbone → decode head (or a cascade of them), with an auxiliary head in training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mmengine.model import BaseModel
from torch import Tensor, nn

from harness.values.errors import ModelError
from models.head import DecodeHead
from models.layers import resize
from models.norm import build_norm
from models.parts import build_part
from models.registry import MODELS

__all__ = ["EncoderDecoder"]


@MODELS.register_module()
class EncoderDecoder(BaseModel):  # type: ignore[misc]  # mmengine has no types
    """A segmentation model that mmengine's Runner trains.

    Args:
        backbone: config of the backbone.
        decode_head: config of the head, or of a cascade of heads, each of which sees the logits of the one before.
        auxiliary_head: config of a head that is added in training alone, or of several.
        norm_cfg: `dict(type="BN")`, or `dict(type="SyncBN")`: over all devices of a distributed job, plain outside one.
        data_preprocessor: config of the preprocessor.
        test_cfg: how the field's scripts ask it: `mode`, "whole" or "slide", `crop_size` and `stride`. The model itself
            doesn't use it; `align evaluate` does.

    Raises:
        ModelError: a part's settings contradict each other, or another part's.
    """

    def __init__(
        self,
        backbone: Mapping[str, object],
        decode_head: Mapping[str, object] | Sequence[Mapping[str, object]],
        auxiliary_head: Mapping[str, object] | Sequence[Mapping[str, object]] | None = None,
        norm_cfg: Mapping[str, object] | None = None,
        data_preprocessor: Mapping[str, object] | nn.Module | None = None,
        test_cfg: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(_preprocessor(data_preprocessor))
        self.test_cfg = dict(test_cfg or {})
        self.backbone = build_part(backbone, "model.backbone")
        self.decode_head: nn.Module
        if isinstance(decode_head, Mapping):
            self.decode_head = self._build_head(decode_head, "model.decode_head", refines=False)
        else:
            self.decode_head = nn.ModuleList(
                self._build_head(head, f"model.decode_head.{i}", refines=i > 0) for i, head in enumerate(decode_head)
            )
        self.auxiliary_head: nn.Module | None = None
        if isinstance(auxiliary_head, Mapping):
            self.auxiliary_head = self._build_head(auxiliary_head, "model.auxiliary_head", refines=False)
        elif auxiliary_head is not None:
            self.auxiliary_head = nn.ModuleList(
                self._build_head(head, f"model.auxiliary_head.{i}", refines=False)
                for i, head in enumerate(auxiliary_head)
            )
        build_norm(self, norm_cfg or {"type": "BN"}, "model.norm_cfg")

    @property
    def cascade(self) -> tuple[DecodeHead, ...]:
        """The decode heads, first to last."""
        if isinstance(self.decode_head, nn.ModuleList):
            return tuple(self.decode_head)  # type: ignore[arg-type]  # built as such
        return (self.decode_head,)  # type: ignore[return-value]  # built as such

    def forward(
        self, inputs: Tensor, data_samples: Mapping[str, Tensor] | None = None, mode: str = "tensor"
    ) -> dict[str, Tensor] | Tensor:
        """What mmengine calls.

        Args:
            inputs: (N, 3, H, W), normalised.
            data_samples: `gt_sem_seg` (N, H, W) int64; needed for "loss".
            mode: "loss", a dict of losses; "tensor", logits, not resized; "predict", the class of each pixel (N, H, W).

        Raises:
            ModelError: no such mode, or no labels to learn from.
        """
        if mode == "tensor":
            return self.logits(inputs)
        if mode == "predict":
            size = (inputs.shape[2], inputs.shape[3])
            return resize(self.logits(inputs), size, align_corners=self.cascade[-1].align_corners).argmax(dim=1)
        if mode != "loss":
            raise ModelError("no such mode", where="forward.mode", observed=mode, allowed="loss, tensor, predict")
        if data_samples is None:
            raise ModelError("a loss needs labels", where="data_samples.gt_sem_seg", observed="nothing")
        return self.losses(inputs, data_samples["gt_sem_seg"])

    def logits(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) → the last decode head's logits (N, num_classes, h, w), not resized."""
        features = self.backbone(images)
        first, *refining = self.cascade
        given: Tensor | tuple[Tensor, ...] = first(features)
        logits = given[0] if isinstance(given, tuple) else given  # EncNet's head says which classes occur, too
        for head in refining:
            logits = head(features, logits)
        return logits

    def losses(self, images: Tensor, labels: Tensor) -> dict[str, Tensor]:
        """Every head's loss, weighted as it enters the sum, and accuracy.

        Args:
            images: (N, 3, H, W), normalised.
            labels: (N, H, W) int64, 255 where ignored.

        Returns:
            `decode.loss_ce`, `decode.acc_seg` (`decode_0.…`, `decode_1.…` for a cascade), `aux.loss_ce`, `aux.acc_seg`
            (`aux_0.…`, `aux_1.…` where there are several).
        """
        features = self.backbone(images)
        heads = self.cascade
        names = [f"decode_{i}" for i in range(len(heads))] if len(heads) > 1 else ["decode"]
        losses = {names[0]: heads[0].losses(heads[0](features), labels)}
        logits: Tensor | None = None
        for before, head, name in zip(heads, heads[1:], names[1:], strict=False):
            # The field's cascade runs the head before once more, so that its batch norms move twice an iteration and
            # its dropout is drawn twice; no gradient is cut.
            logits = before(features) if logits is None else before(features, logits)
            losses[name] = head.losses(head(features, logits), labels)
        if isinstance(self.auxiliary_head, DecodeHead):
            losses["aux"] = self.auxiliary_head.losses(self.auxiliary_head(features), labels)
        elif isinstance(self.auxiliary_head, nn.ModuleList):
            for number, extra in enumerate(self.auxiliary_head):
                losses[f"aux_{number}"] = extra.losses(extra(features), labels)  # type: ignore[operator]  # a head
        return {f"{head}.{name}": value for head, values in losses.items() for name, value in values.items()}

    def _build_head(self, config: Mapping[str, object], where: str, *, refines: bool) -> DecodeHead:
        head: Any = build_part(config, where)
        if not isinstance(head, DecodeHead) or head.refines != refines:
            raise ModelError(
                "this head can't stand here",
                where=f"{where}.type",
                observed=config["type"],
                allowed="a head that refines the logits before it" if refines else "a head that needs no logits",
            )
        stages: tuple[int, ...] = self.backbone.out_channels  # type: ignore[assignment]  # a backbone's attribute
        if any(not -len(stages) <= index < len(stages) for index in head.in_index):
            raise ModelError(
                "the backbone has no such stage",
                where=f"{where}.in_index",
                observed=head.in_index,
                allowed=f"0 … {len(stages) - 1}",
            )
        given = tuple(stages[index] for index in head.in_index)
        if head.feature_channels != given:
            raise ModelError(
                "the head's channels don't match the backbone's",
                where=f"{where}.in_channels",
                observed=head.feature_channels,
                allowed=f"{given}, what {type(self.backbone).__name__} gives at stages {head.in_index}",
            )
        return head


def _preprocessor(config: Mapping[str, object] | nn.Module | None) -> nn.Module | None:
    return build_part(config, "model.data_preprocessor") if isinstance(config, Mapping) else config
