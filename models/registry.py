"""Where mmengine finds this project's models, data sets and transforms.

A config that says `default_scope = "models"` reaches them by their plain names: mmengine imports `<scope>.registry` on
its own, which is why the scope is named after this package.
"""

from __future__ import annotations

from typing import Final

from mmengine.registry import DATASETS as ROOT_DATASETS
from mmengine.registry import MODELS as ROOT_MODELS
from mmengine.registry import TRANSFORMS as ROOT_TRANSFORMS
from mmengine.registry import Registry

__all__ = ["DATASETS", "MODELS", "SCOPE", "TRANSFORMS"]

SCOPE: Final = "models"

MODELS: Final = Registry("model", parent=ROOT_MODELS, scope=SCOPE, locations=["models.architectures"])
DATASETS: Final = Registry("dataset", parent=ROOT_DATASETS, scope=SCOPE, locations=["models.datasets"])
TRANSFORMS: Final = Registry("transform", parent=ROOT_TRANSFORMS, scope=SCOPE, locations=["models.datasets"])
