"""Every module that registers a part of a model; mmengine imports this one when it first builds one."""

from models import ann, ccnet, emanet, fcn, hrnet, losses, ocrnet, preprocessor, resnet, segmentor

__all__ = ["ann", "ccnet", "emanet", "fcn", "hrnet", "losses", "ocrnet", "preprocessor", "resnet", "segmentor"]
