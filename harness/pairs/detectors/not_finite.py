"""NaN and infinities, also where a program prints no loss in their place."""

from __future__ import annotations

import numpy as np

from harness.pairs.situation import Situation
from harness.pairs.views import View
from harness.values.verdict import Outcome

__all__ = ["not_finite"]


def not_finite(view: View) -> Situation | None:
    """NaN or an infinity of one side, or iterations that it prints without a loss."""
    pair = view.pair
    for side, log, values, outcome in (
        ("candidate", view.candidate, pair.candidate, Outcome.FAIL),
        ("reference", view.reference, pair.reference, Outcome.INCONCLUSIVE),
    ):
        bad = ~np.isfinite(values)
        lacking = sorted(set(log.lacking) & set(pair.only_reference.tolist())) if side == "candidate" else []
        if not bad.any() and not lacking:
            continue
        first = int(pair.iterations[int(np.argmax(bad))]) if bad.any() else lacking[0]
        if lacking and lacking[0] <= first:
            why = log.lacking[lacking[0]]
            evidence = (
                f"the {side} prints no {log.metric} at {len(lacking)} iterations from "
                f"{lacking[0]} on ({why}), where the "
                "reference does"
            )
            kind = "NaN (not printed)"
        else:
            value = values[int(np.argmax(bad))]
            kind = "NaN" if np.isnan(value) else "infinite"
            other = (pair.reference if side == "candidate" else pair.candidate)[int(np.argmax(bad))]
            evidence = (
                f"the {side}'s loss is {value} at {view.unit} {first} ({bad.sum()} of {len(pair)} "
                f"not finite); the other "
                f"side's is {other:.6g} there"
            )
        last = int(pair.iterations[-1]) if bad.any() else lacking[-1]
        goes_on = bool(bad.any() and bad[int(np.argmax(bad)) :].all()) or (not bad.any() and len(lacking) > 1)
        where = f"from {view.unit} {first} on" if goes_on and first != last else f"at {view.unit} {first}"
        return Situation(
            "not finite",
            f"{kind} {where}: the {side}'s loss",
            outcome,
            evidence,
            "look at the iterations before it: gradient norm, loss scale, and which operation is the first with a NaN",
            first,
        )
    return None
