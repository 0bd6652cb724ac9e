"""Semantic segmentation models, their data and their training configs: what the harness aligns."""

from models.build import build_model, config_names
from models.checkpoint import load_checkpoint
from models.start import draw_start_weights, weights_digest

__all__ = ["build_model", "config_names", "draw_start_weights", "load_checkpoint", "weights_digest"]
