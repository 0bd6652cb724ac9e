"""Two bare logs of runs that nobody trained, and their verdict."""

import re

import numpy as np

from harness.language import say, speak
from harness.pairs.joining import Series
from harness.pairs.judge import judge_pair
from harness.pairs.log import Log
from reports.words.headline import headline

N = 100


def log(values, *, iterations=None, settings=None, **changes):
    iterations = np.arange(len(values)) if iterations is None else np.asarray(iterations)
    series = Series(iterations.astype(np.int64), np.asarray(values, float))
    fields = {
        "path": "x", "format": "CSV", "metric": "loss", "rank": 0, "series": series, "ranks": {0: series},
        "metrics": ("loss",), "settings": settings or {},
    }  # fmt: skip
    return Log(**{**fields, **changes})


def losses(data=0, own=0, *, own_noise=0.005, digits=6, offset=0.0):
    """A falling loss: the batches' ups and downs of 10 %, and a run's own noise that grows from 1e-7."""
    shared = 0.1 * np.random.default_rng(data).standard_normal(N)
    t = np.arange(N)
    grown = np.minimum(own_noise, 1e-7 * 1.5**t) * np.random.default_rng(1000 + own).standard_normal(N)
    return np.round(4 * np.exp(-t / 80 + shared + grown + offset), digits)


def judge(reference, candidate, *args, **kwargs):
    """The verdict, of which no sentence stays English in Chinese."""
    verdict = judge_pair("pair", reference, candidate, *args, **kwargs)
    told = [verdict.reason, headline(verdict), *(finding.message for finding in verdict.findings)]
    assert english_of(told) == []
    return verdict


NAMES = re.compile(
    r"loss\b|grad norm|logits|smoothed\b|tf32|CSV|NaN|nan|inf|align verify|--repeat|fp32|bf16|GPU|[a-z]+\.(?:log|py)"
)
"""What stays as it is in a sentence: signals, tiers, formats, commands and files."""


def english_of(texts):
    """What of some sentences is still English where they are told in Chinese."""
    speak("zh")
    try:
        return [said for said in map(say, texts) if re.search(r"[A-Za-z]{3,}", NAMES.sub("", said))]
    finally:
        speak("en")
