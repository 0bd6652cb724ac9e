"""Which batch norm a model has."""

from __future__ import annotations

from collections.abc import Mapping

from mmengine.dist import get_world_size
from torch import nn

from harness.values.errors import ModelError

__all__ = ["build_norm"]


def build_norm(model: nn.Module, config: Mapping[str, object], where: str) -> None:
    """Give a model's batch norms the kind and settings that its config asks for, in place.

    Args:
        model: built with plain batch norms.
        config: `type`, "BN" or "SyncBN" (plain outside a distributed job, as there is nobody to synchronise with);
            `requires_grad`, `eps` and `momentum` where they differ from True, 1e-5 and 0.1.
        where: the field of the model's config that this is, for messages.

    Raises:
        ModelError: no such norm or setting.
    """
    settings = {"requires_grad": True, "eps": 1e-5, "momentum": 0.1, **config}
    kind = settings.pop("type", None)
    if kind not in ("BN", "SyncBN"):
        raise ModelError("no such norm", where=f"{where}.type", observed=kind, allowed="BN, SyncBN")
    if unknown := settings.keys() - {"requires_grad", "eps", "momentum"}:
        raise ModelError(
            "a norm has no such setting",
            where=where,
            observed=", ".join(sorted(unknown)),
            allowed="type, requires_grad, eps, momentum",
        )
    for norm in (layer for layer in model.modules() if isinstance(layer, (nn.BatchNorm1d, nn.BatchNorm2d))):
        norm.eps, norm.momentum = float(settings["eps"]), float(settings["momentum"])  # type: ignore[arg-type]
        norm.requires_grad_(bool(settings["requires_grad"]))
    if kind == "SyncBN" and get_world_size() > 1:
        # Replaces every child in place; the model itself is no batch norm, so nothing is returned that isn't in it.
        nn.SyncBatchNorm.convert_sync_batchnorm(model)
