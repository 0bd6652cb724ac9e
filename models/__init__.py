"""Semantic segmentation models, their data and their training configs: what the harness aligns."""
