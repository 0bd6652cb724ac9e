"""Standard deviations of many similar tensors, each estimated from few runs, moderated by what the others show.

With k runs a tensor's σ is itself uncertain, and among hundreds of tensors some agree by luck far better than they will
again. The variances of a group are taken as draws from a scaled inverse χ² distribution; its two parameters follow from
the group's own estimates, and each variance becomes the mean of its own estimate and the group's, weighted by their
degrees of freedom, which add up. Heterogeneous groups earn few extra degrees of freedom, homogeneous ones as many
again.

And no tensor is known better than the median one of its group. Where rounding is as fine as float32's, healthy runs
part by events: an activation next to zero is on its other side in one run of eight, and moves a bias a thousand times
as far as the seven others part. A tensor that met no such event in k runs has a small σ by that luck alone, and what
its neighbours met says how far one moves it.

Source: G. K. Smyth, "Linear models and empirical Bayes methods for assessing differential expression in microarray
experiments", *Statistical Applications in Genetics and Molecular Biology* 3 (2004), article 3, sections 3 and 6.2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.special import digamma, polygamma

from harness.rules.spread import Spread
from harness.values.trace import FloatArray

__all__ = ["estimate_prior", "moderate"]

_SMALLEST_GROUP = 3


def moderate(spread: Spread, groups: Sequence[str]) -> Spread:
    """The same spread with the standard deviations of each group of columns moderated, row by row.

    Args:
        spread: of shape (S, P).
        groups: P names; columns of one name are similar tensors.
    """
    sigma, freedom = spread.sigma.copy(), np.broadcast_to(spread.freedom, spread.sigma.shape).copy()
    names = np.asarray(groups)
    own = float(spread.repeats - 1)
    for name in dict.fromkeys(groups):
        columns = np.flatnonzero(names == name)
        if len(columns) < _SMALLEST_GROUP:
            continue
        for row in range(len(sigma)):
            variances = spread.sigma[row, columns] ** 2
            prior_freedom, prior_variance = estimate_prior(variances, own)
            freedom[row, columns] = own + prior_freedom
            pooled = (prior_freedom * prior_variance + own * variances) / (prior_freedom + own)
            sigma[row, columns] = np.sqrt(np.maximum(pooled, np.median(variances)))
    return replace(spread, sigma=sigma, freedom=freedom)


def estimate_prior(variances: FloatArray, freedom: float) -> tuple[float, float]:
    """Degrees of freedom and variance of the group that variances were drawn from (Smyth, section 6.2).

    Args:
        variances: (n,) positive estimates, n ≥ 2.
        freedom: degrees of freedom of each.

    Returns:
        The prior's degrees of freedom, at most those of one estimate, and its variance. More would be trusting the
        normal distribution's tails, which the norms of a chaotic training don't have.
    """
    logs = np.log(variances) - digamma(freedom / 2) + np.log(freedom / 2)
    excess = float(logs.var(ddof=1) - polygamma(1, freedom / 2))
    if excess <= float(polygamma(1, freedom / 2)):
        return freedom, float(np.exp(logs.mean()))
    prior = 2 * _inverse_trigamma(excess)
    return prior, float(np.exp(logs.mean() + digamma(prior / 2) - np.log(prior / 2)))


def _inverse_trigamma(value: float) -> float:
    """Where the trigamma function has a value, by Newton's method on its reciprocal (Smyth, appendix)."""
    x = 0.5 + 1 / value
    for _ in range(50):
        trigamma = float(polygamma(1, x))
        step = trigamma * (1 - trigamma / value) / float(polygamma(2, x))
        x += step
        if abs(step) < 1e-10 * x:
            break
    return x
