"""Evaluation: what the model answers in evaluation mode stays where the reference's healthy runs answer alike.

Training mode normalizes by the batch and drops at random; evaluation mode is what users run, on the running statistics
and on kernels of its own. So a run is asked a few times for the losses and the confusion matrices of a fixed batch.

A loss is bounded as the training's are (see ``spread``). Of a confusion matrix what counts is the share of the pixels
that lie in another cell than in the healthy runs' mean: half the sum of the absolute differences, over the pixels. Its
root mean square over the healthy runs stands for σ. A norm of many small deviations that are normal has lighter tails,
beside its root mean square, than a single one (Latała & Oleszkiewicz, "Gaussian measures of dilatations of convex
symmetric sets", *Annals of Probability* 27 (1999)), so that the bound of a single one holds for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from harness.rules.bounded import Bounds, Sentence, percent
from harness.rules.spread import Spread, measure_spread
from harness.values.trace import EVALUATED_LOSS, EVALUATED_PIXELS, BoolArray, FloatArray, Trace
from harness.values.verdict import Finding

__all__ = ["RULE", "EvaluationRule", "answer_signal"]

RULE = "evaluation"


class EvaluationRule:
    """The bounds of what a model answers in evaluation mode, computed once.

    Args:
        healthy: k runs of the reference, each of ``planned`` iterations or more.
        planned: iterations T of the candidates to come.
        tier: whose ensemble ``healthy`` is, for the findings.
        false_alarm_rate: chance that a healthy run fails this rule, over all answers and iterations together.
    """

    def __init__(self, healthy: Sequence[Trace], planned: int, *, tier: str, false_alarm_rate: float) -> None:
        tables = [run.evaluation.head(planned) for run in healthy]
        self._reference = tables[0]
        values = np.stack([table.values_under(tables[0]) for table in tables])
        names = tables[0].names
        self._losses = [column for column, name in enumerate(names) if name.startswith(EVALUATED_LOSS)]
        self._confusions = [
            _Confusion(head, columns, values[..., columns]) for head, columns in _columns_by_head(names).items()
        ]
        answers = len(self._losses) + len(self._confusions)

        def bounds(signals: Sequence[str], spread: Spread, sentence: Sentence | None = None) -> Bounds:
            return Bounds(
                RULE,
                tier,
                signals=signals,
                iterations=tables[0].iterations,
                spread=spread,
                looks=answers * len(tables[0].iterations),
                false_alarm_rate=false_alarm_rate,
                sentence=sentence,
            )

        self._of_losses = bounds(
            [answer_signal(names[column]) for column in self._losses],
            _loss_spread(values[..., self._losses], tables[0].told[:, self._losses]).transposed(),
        )
        self._of_pixels = [bounds([answer_signal(one.head)], one.spread, _sentence) for one in self._confusions]

    @property
    def bounds(self) -> tuple[Bounds, ...]:
        """Of the losses and of each head's pixels, as far as the reference was asked."""
        return (*([self._of_losses] if self._losses else []), *self._of_pixels)

    def judge(self, candidate: Trace) -> list[Finding]:
        """A finding on each loss and on each head's confusion matrix; none where the reference has none.

        Args:
            candidate: the run to judge, or the first t ≤ T iterations of it. It is held to the answers that are due,
                and one that it did not record is judged as NaN.
        """
        values = candidate.evaluation.values_due(self._reference, candidate.reached)
        findings = self._of_losses.find(self._of_losses.deviation(values[:, self._losses].T)) if self._losses else []
        for confusion, bounds in zip(self._confusions, self._of_pixels, strict=True):
            findings += bounds.find(bounds.deviation(confusion.share(values[:, confusion.columns])[None]))
        return findings


def _loss_spread(healthy: FloatArray, told: BoolArray) -> Spread:
    """(S, L) spread of (k, S, L) losses; where ``told`` says that no run has a value, there is nothing to compare."""
    spread = measure_spread(np.where(told, healthy, 1.0))
    return replace(spread, sigma=np.where(told, spread.sigma, np.inf))


class _Confusion:
    """The confusion matrix of one head in k healthy runs.

    Args:
        head: its name.
        columns: (C,) the columns of its cells.
        healthy: (k, S, C) pixels in each cell.
    """

    def __init__(self, head: str, columns: Sequence[int], healthy: FloatArray) -> None:
        self.head = head
        self.columns = columns
        self._mean = healthy.mean(axis=0)
        self._pixels = np.maximum(self._mean.sum(axis=1), 1.0)
        repeats = len(healthy)
        squares = np.stack([self.share(run) ** 2 for run in healthy]).sum(axis=0)
        sigma = np.maximum(np.sqrt(squares / (repeats - 1)), 1.0 / self._pixels)  # a pixel between two classes may turn
        # On its own scale: that no pixel lies elsewhere is usual, and zero has no logarithm.
        flat = np.zeros((1, len(sigma)))
        self.spread = Spread(flat, sigma[None], repeats, np.zeros_like(flat, bool), np.ones_like(flat), repeats - 1)

    def share(self, cells: FloatArray) -> FloatArray:
        """(s,) of (s, C) cells at the first s evaluations: the share of the pixels that lie elsewhere than the mean."""
        rows = len(cells)
        share: FloatArray = np.abs(cells - self._mean[:rows]).sum(axis=1) / (2 * self._pixels[:rows])
        return share


def _columns_by_head(names: Sequence[str]) -> dict[str, list[int]]:
    """Head → the columns of its cells; a head is named ``pixels/<head>``."""
    columns: dict[str, list[int]] = {}
    for column, name in enumerate(names):
        if name.startswith(EVALUATED_PIXELS):
            columns.setdefault(name.rsplit("/", 2)[0], []).append(column)
    return columns


def answer_signal(name: str) -> str:
    """What findings call an answer of the evaluation table."""
    return f"{RULE}/{name}"


def _sentence(signal: str, iteration: int, observed: float, bound: float, *, violated: bool) -> str:
    """Of a share of the pixels that lie elsewhere."""
    head = signal.rpartition("/")[2]
    if not np.isfinite(observed):
        return f"{head}'s confusion matrix is not comparable after iteration {iteration}"
    moved = f"{percent(observed)} of the pixels lie in another cell of {head}'s confusion matrix"
    healthy = f"of healthy runs at most {percent(bound)}"
    when = f"after iteration {iteration}"
    return f"{moved} {when}, {healthy}" if violated else f"{moved} {when}, its closest to the bound; {healthy}"
