"""Settings: what two logs say about their runs, against each other."""

from __future__ import annotations

from collections.abc import Mapping

from harness.values.verdict import Agreement

__all__ = ["compare_settings"]

_REQUIRED = ("config", "seed", "global batch", "batch size", "precision", "world size", "initial weights")
_ABSENT = "not printed"


def compare_settings(reference: Mapping[str, str], candidate: Mapping[str, str]) -> tuple[Agreement, ...]:
    """The comparability table as far as two logs tell it, contradictions first.

    What only one side prints can't contradict. The batch of a process and the number of processes may differ where the
    global batch is the same.

    Args:
        reference: name → value, of the trusted side's log.
        candidate: name → value, of the ported side's log.
    """
    same_batch = "global batch" in reference and reference["global batch"] == candidate.get("global batch")
    free = {"batch size", "world size"} if same_batch else set()
    rows = []
    for name in dict.fromkeys([*_REQUIRED, *sorted({*reference, *candidate})]):
        mine, theirs = reference.get(name), candidate.get(name)
        if mine is None and theirs is None:
            continue
        known = mine is not None and theirs is not None
        rows.append(
            Agreement(
                what=name,
                reference=mine or _ABSENT,
                candidate=theirs or _ABSENT,
                required=known and name in _REQUIRED and name not in free,
                agrees=mine == theirs,
            )
        )
    return tuple(sorted(rows, key=lambda row: not (row.required and not row.agrees)))
