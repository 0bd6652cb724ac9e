"""Accuracy as values and pure functions: scores of a segmentation, their intervals, and three verdicts. No torch."""
