"""A baseline: healthy runs of a case on a trusted device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from harness.values.errors import BaselineError
from harness.values.precision import TIERS
from harness.values.provenance import Provenance
from harness.values.sampling import EVERY_NTH, SAMPLING
from harness.values.trace import Trace

__all__ = ["MINIMUM_REPEATS", "REQUIRED_SIGNALS", "Baseline", "find_copies"]

MINIMUM_REPEATS = 5

REQUIRED_SIGNALS = ("loss", "lr", "grad_norm", "update_norm", "param_norm")
"""What every baseline holds: without them a rule would have nothing to say, and say nothing."""

_NOT_OF_THE_TRAINING = frozenset({"seconds", "memory"})
"""What differs between two runs that compute the same, bit for bit."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Reference runs of one case, with where they come from.

    The runs of a tier are the same experiment with other rounding, so that their spread is what a healthy run may do.

    Args:
        case: the case's name.
        reference: the trusted device's label, for example ``cpu`` or ``cuda-h200``.
        tiers: precision tier → k ≥ 5 healthy runs, each of T iterations.
        provenance: of the tightest tier's runs.
        fp64: a short run in float64, or None.
        reason: why it was recorded.
        recorded: UTC time, ISO 8601.

    Raises:
        BaselineError: a tier holds too few runs, one that is cut short, not finite, or of another form than the others,
            or two that are copies of each other.
    """

    case: str
    reference: str
    tiers: Mapping[str, tuple[Trace, ...]]
    provenance: Provenance
    fp64: Trace | None
    reason: str
    recorded: str

    def __post_init__(self) -> None:
        if not self.tiers:
            raise BaselineError("the baseline holds no run", where=self.where)
        for tier, runs in self.tiers.items():
            if len(runs) < MINIMUM_REPEATS:
                raise BaselineError(
                    "too few healthy runs to calibrate a bound",
                    where=f"{self.where}, tier {tier}",
                    observed=len(runs),
                    allowed=f"at least {MINIMUM_REPEATS}",
                    hint=self.record_again("too few runs", repeats=8),
                )
            for number, run in enumerate(runs):
                if not run.complete:
                    raise BaselineError(
                        "a reference run is cut short",
                        where=f"{self.where}, tier {tier}, run {number}",
                        observed=f"{len(run)} of {run.planned} iterations",
                        hint=self.record_again("a run was cut short"),
                    )
                self._require_same_form(run, f"{self.where}, tier {tier}, run {number}")
            self._require_no_copies(tier, runs)

    def _require_no_copies(self, tier: str, runs: tuple[Trace, ...]) -> None:
        if copies := find_copies(runs):
            raise BaselineError(
                "two reference runs are copies of each other: they say nothing of how far healthy runs part",
                where=f"{self.where}, tier {tier}",
                observed=copies,
                allowed="runs whose rounding differs",
                hint=self.record_again("the runs were copies"),
            )

    def _require_same_form(self, run: Trace, where: str) -> None:
        """What is compared column by column must have the same columns, all of them numbers."""
        first = next(iter(self.tiers.values()))[0]
        if missing := [name for name in REQUIRED_SIGNALS if not run.has_value(name).all()]:
            raise BaselineError("a reference run lacks a signal that is judged", where=where, observed=missing)
        forms = (
            ("iterations", run.iterations.tolist(), first.iterations.tolist()),
            ("signals", sorted(run.signals), sorted(first.signals)),
            ("iterations without a value", _gaps(run), _gaps(first)),
            ("batches", run.batches, first.batches),
            ("tensors", run.state.names, first.state.names),
            ("iterations of the tensors' norms", run.state.iterations.tolist(), first.state.iterations.tolist()),
            ("answers in evaluation mode", run.evaluation.names, first.evaluation.names),
            ("evaluated iterations", run.evaluation.iterations.tolist(), first.evaluation.iterations.tolist()),
        )
        for what, observed, allowed in forms:
            if observed != allowed:
                raise BaselineError(f"a reference run has other {what} than the first", where=where)
        if run.state.missing is not None:  # the tensors of a model are the same at every iteration
            raise BaselineError("a reference run lacks a norm of a tensor", where=where)
        parts = [(name, values[run.has_value(name)]) for name, values in run.signals.items()]
        parts += [
            ("the tensors' norms", run.state.values[run.state.told]),
            ("the answers in evaluation mode", run.evaluation.values[run.evaluation.told]),
        ]
        if broken := [name for name, values in parts if not np.isfinite(values).all()]:
            raise BaselineError("a reference run is not finite", where=where, observed=", ".join(broken))

    def require_sampling(self, again: Callable[..., str] | None = None, *, tier: str = "", iterations: int = 0) -> None:
        """A run of today has the norms of the same elements of each tensor.

        Args:
            again: what records it anew, as ``record_again``.
            tier: that it is to hold then, too.
            iterations: that it is to have then, at least.

        Raises:
            BaselineError: a version that sampled others has recorded it: no run of today is comparable with it.
        """
        if self.provenance.sampling == SAMPLING:
            return
        raise BaselineError(
            "the baseline's norms of updates and parameters are of other elements than this version samples",
            where=self.where,
            observed=self.provenance.sampling or EVERY_NTH,
            allowed=SAMPLING,
            hint=(again or self.record_again)(
                "norms of the elements that are sampled today",
                tier=tier or next(iter(self.tiers)),
                iterations=max(iterations, self.iterations),
                repeats=max(map(len, self.tiers.values())),
            ),
        )

    def record_again(
        self, reason: str, *, case: str = "", place: str = "", tier: str = "", iterations: int = 0, repeats: int = 0
    ) -> str:
        """The command that records it anew, with more of something: what it holds now stays in it.

        Args:
            reason: why.
            case: how the command line names the case; its name where empty.
            place: the folder of the baselines, as the command line takes it; the usual one where empty.
            tier: a further precision tier; none where empty.
            iterations: how many; those of the case where 0.
            repeats: how many; those of the case where 0.
        """
        device = self.provenance.device.kind
        words = ["align record", case or self.case, f"--device {device}"]
        words += [f"--reference {self.reference}"] if self.reference != device else []
        words += [f"--baseline-dir {place}"] if place else []
        words += [f"--tiers {','.join(sorted({*self.tiers, tier}, key=TIERS.index))}"] if tier else []
        words += [f"--iterations {iterations}"] if iterations else []
        words += [f"--repeats {repeats}"] if repeats else []
        words += ["--amp"] if self.provenance.precision.startswith("amp") else []
        processes = self.provenance.world_size
        words += [f"--launcher pytorch --nproc-per-node {processes}"] if processes > 1 else []
        return " ".join([*words, f'--reason "{reason}"'])

    @property
    def where(self) -> str:
        """How messages name it."""
        return f"baseline {self.case}/{self.reference}"

    @property
    def iterations(self) -> int:
        """Iterations of each run."""
        return len(next(iter(self.tiers.values()))[0])


def _gaps(run: Trace) -> dict[str, list[bool]]:
    """What a run has no value of, and where; of a table all its numbers in a row."""
    tables = {"state": run.state.missing, "evaluation": run.evaluation.missing}
    gaps = {**run.missing, **{name: missing for name, missing in tables.items() if missing is not None}}
    return {name: missing.reshape(-1).tolist() for name, missing in sorted(gaps.items())}


def find_copies(runs: Sequence[Trace]) -> str:
    """The first two runs that are copies of each other, in words; empty where there are none.

    Copies make the spread too small, and healthy ports fail by it: one pair among eight runs as well as eight. Runs
    whose rounding differs part at the first iterations and never meet again. So two that are equal at most iterations
    are one run, or one and its continuation.

    Args:
        runs: of one tier, with the same signals.
    """
    judged = [name for name in runs[0].signals if name not in _NOT_OF_THE_TRAINING] if runs else []
    values = [np.stack([run.signals[name] for name in judged]) for run in runs]
    for (number, one), (other, two) in combinations(enumerate(values), 2):
        equal = int((one == two).all(axis=0).sum())
        if 2 * equal > len(runs[0]):
            return f"runs {number} and {other} are equal in every signal at {equal} of {len(runs[0])} iterations"
    return ""
