"""Every module that registers a part of a model; mmengine imports this one when it first builds one."""

from models import ann, fcn, losses, preprocessor, resnet, segmentor

__all__ = ["ann", "fcn", "losses", "preprocessor", "resnet", "segmentor"]
