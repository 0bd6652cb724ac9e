"""Causes: the wrong tensors of a run, put together where one wrong kernel explains them, each cause one sentence."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from harness.shadow.evidence.call_signature import CallSignature, TensorSignature
from harness.shadow.evidence.cause import Asked, Cause, kernel_of, name_result
from harness.shadow.evidence.checks import Part, ShadowCheck, ShadowEvidence, ShadowRecord, ShadowRow
from harness.shadow.judging.diagnosis.attributes import Instance, attributes_of
from harness.shadow.judging.diagnosis.separation import Attribute, Separation, separate, set_apart
from harness.shadow.judging.operations import bits_of, weigh_check, weigh_shadow

__all__ = ["diagnose", "find_causes"]

_COMPUTED = frozenset({Part.FORWARD, Part.BACKWARD, Part.LOSS})

_ALIKE = 0.02
"""Errors of a factor are one factor where they are within so much of each other: 1 % too large and 1.01 % too large."""


@dataclass(frozen=True)
class _Judged:
    """A check beside its bound, what its call was given, and whether it was asked for, outside of the step."""

    check: ShadowCheck
    row: ShadowRow
    signature: CallSignature
    asked: bool = False

    @property
    def wrong(self) -> bool:
        return self.row.violated


@dataclass(frozen=True)
class _Unit:
    """The checks of one signature: calls that nothing tells apart but their place and their numbers."""

    instance: Instance
    checks: tuple[_Judged, ...]

    @property
    def wrong(self) -> bool:
        return any(each.wrong for each in self.checks)

    @property
    def of_step(self) -> tuple[_Judged, ...]:
        """Those of the training's own calls."""
        return tuple(each for each in self.checks if not each.asked)

    @property
    def asked(self) -> bool:
        """Whether none of its calls is the training's."""
        return not self.of_step


def diagnose(record: ShadowRecord, tier: str, asked: ShadowRecord | None = None) -> ShadowEvidence:
    """The record's checks beside what a healthy kernel may have, with the causes of what is violated.

    Args:
        record: of a run.
        tier: a key of ``SHADOW_TIERS``.
        asked: see ``find_causes``.
    """
    evidence = weigh_shadow(record, tier)
    return replace(evidence, causes=find_causes(record, tier, asked)) if evidence.violations else evidence


def find_causes(record: ShadowRecord, tier: str, asked: ShadowRecord | None = None) -> tuple[Cause, ...]:
    """What is wrong in a run, as few causes.

    Of each operation's tensors those that are wrong are held against those that are right, at the first iteration where
    one is wrong: later ones may follow from it. Tensors of one operation that are wrong in the same calls are one
    cause, and so are a forward and its backward.

    Args:
        record: of a run's shadowed steps.
        tier: a key of ``SHADOW_TIERS``.
        asked: calls like wrong ones that the device was asked afterwards, one thing changed at a time: what tells wrong
            from right may be something that the training never varied.

    Returns:
        By iteration, the one that explains most first within one.
    """
    groups: dict[tuple[Part | None, str, str], list[_Judged]] = defaultdict(list)
    for check in record.checks:
        row = weigh_check(check, tier)
        name, _ = name_result(check.part, check.op, check.tensor)
        part = None if check.part in _COMPUTED else check.part  # one kernel serves all of them
        groups[part, check.op, name].append(_Judged(check, row, _signature(check, record.signatures)))
    again = _asked(asked, tier)
    causes: list[Cause] = []
    for (_, op, name), judged in groups.items():
        first = min((each.check.iteration for each in judged if each.wrong), default=None)
        if first is not None:
            kind = Part.PRECISION if judged[0].check.part is Part.PRECISION else None
            in_step = [each for each in judged if each.check.iteration == first]
            causes += _causes_of([*in_step, *again.get((kind, op, name), ())], judged)
    joined = _join(causes)
    return tuple(sorted(joined, key=lambda cause: (cause.iteration, -cause.wrong, cause.ops)))


def _asked(record: ShadowRecord | None, tier: str) -> dict[tuple[Part | None, str, str], list[_Judged]]:
    """The calls that the device was asked, by what a cause is told of."""
    found: dict[tuple[Part | None, str, str], list[_Judged]] = defaultdict(list)
    for check in record.checks if record is not None else ():
        kind = Part.PRECISION if check.part is Part.PRECISION else None
        name, _ = name_result(check.part, check.op, check.tensor)
        judged = _Judged(check, weigh_check(check, tier), _signature(check, record.signatures), asked=True)  # type: ignore[union-attr]
        found[kind, check.op, name].append(judged)
    return found


def _signature(check: ShadowCheck, signatures: Mapping[tuple[int, int], CallSignature]) -> CallSignature:
    """Of the check's call; of a program's check, or an optimizer's, what is known of the tensor."""
    _, parameter = name_result(check.part, check.op, check.tensor)
    if not parameter and (known := signatures.get((check.iteration, check.call))) is not None:
        return known
    layout = "contiguous" if check.contiguous else "strided"
    return CallSignature(
        (TensorSignature("tensor", check.shape, check.dtype, layout),), {"name": parameter} if parameter else {}
    )


def _causes_of(judged: Sequence[_Judged], throughout: Sequence[_Judged]) -> list[Cause]:
    """The causes of one operation's tensor.

    One where an attribute describes all that is wrong, or nothing does; more where errors of different kinds each have
    an attribute of their own.
    """
    telling, unseen = _telling(judged)
    units = _units(telling)
    attributes = attributes_of([unit.instance for unit in units])
    wrong = frozenset(number for number, unit in enumerate(units) if unit.wrong)
    whole = _separation(units, attributes, wrong)
    everything = frozenset(range(len(units)))
    if whole is not None or wrong == everything:
        return [_cause(units, wrong, whole, throughout, unseen)]
    kinds: dict[str, set[int]] = defaultdict(set)
    for number in wrong:
        kinds[_kind_of(units[number])].add(number)
    if len(kinds) > 1:
        apart = {kind: separate(attributes, numbers, len(units)) for kind, numbers in kinds.items()}
        if all(apart.values()):
            return [_cause(units, frozenset(kinds[kind]), found, throughout, unseen) for kind, found in apart.items()]
    return [_cause(units, wrong, None, throughout, unseen, set_apart(attributes, wrong, len(units)))]


def _separation(units: Sequence[_Unit], attributes: Sequence[Attribute], wrong: frozenset[int]) -> Separation | None:
    """The attribute that tells wrong calls from right ones.

    What was asked is like one wrong call, so that all of it has much in common by choice: where every one is wrong, the
    training's own calls have to tell, by something that what was asked has as well.
    """
    asked = frozenset(number for number, unit in enumerate(units) if unit.asked)
    if not asked or not asked <= wrong:
        return separate(attributes, wrong, len(units))
    of_step = [Attribute(one.words, one.level, one.holds - asked) for one in attributes if asked <= one.holds]
    found = separate(of_step, wrong - asked, len(units) - len(asked))
    return replace(found, holds=found.holds | asked) if found is not None else None


def _telling(judged: Sequence[_Judged]) -> tuple[list[_Judged], int]:
    """The checks that tell wrong from right, and how many of the training's own calls don't.

    A convolution's bias before batch norm has a gradient of nothing but rounding, in which a zero is right: that call
    doesn't show whether the kernel is right. A right call shows it where its bounds are below the median error, or the
    median factor, of the wrong calls.
    """
    rows = [each.row for each in judged if each.wrong]
    error, projection = median(row.error for row in rows), median(abs(row.projection) for row in rows)
    telling = [
        each
        for each in judged
        if each.wrong or not (error <= each.row.allowed and projection <= each.row.allowed_projection)
    ]
    return telling, sum(not each.asked for each in judged) - sum(not each.asked for each in telling)


def _units(judged: Iterable[_Judged]) -> list[_Unit]:
    """Checks of one signature together, in the order of their calls."""
    found: dict[str, list[_Judged]] = defaultdict(list)
    places: dict[str, int] = {}
    before, repeated = "", set()
    for place, each in enumerate(sorted(judged, key=lambda each: (each.asked, each.check.call))):
        key = repr((each.signature.tensors, sorted(each.signature.options.items(), key=lambda item: item[0])))
        if name_result(each.check.part, each.check.op, each.check.tensor)[1]:
            key += f" of {each.check.module}"  # of parameters each is one
        if key == before and not each.asked:
            repeated.add(key)
        found[key].append(each)
        places.setdefault(key, place)
        before = key
    among = sum(not each.asked for checks in found.values() for each in checks)
    return [
        _Unit(
            Instance(
                checks[0].check.op,
                checks[0].signature,
                checks[0].check.shape,
                -1 if checks[0].asked else places[key],
                repeats=key in repeated,
                among=among,
            ),
            tuple(checks),
        )
        for key, checks in found.items()
    ]


def _cause(
    units: Sequence[_Unit],
    wrong: frozenset[int],
    found: Separation | None,
    throughout: Sequence[_Judged],
    unseen: int,
    apart: tuple[str, ...] = (),
) -> Cause:
    checks = [each for number in sorted(wrong) for each in units[number].of_step if each.wrong]
    within = found.holds if found is not None else frozenset(range(len(units)))
    others = [unit for number, unit in enumerate(units) if number not in within and not unit.wrong]
    asked_within = [units[number] for number in sorted(within) if units[number].asked]
    first = checks[0].check
    later = {each.check.iteration for each in throughout if each.wrong}
    return Cause(
        ops=(first.op,),
        part=first.part,
        tensors=(name_result(first.part, first.op, first.tensor)[0],),
        error=_error_words([each.row for each in checks]),
        attribute=found.words if found is not None else "",
        equals=found.equals if found is not None else apart,
        wrong=len(checks),
        within=sum(len(units[number].of_step) for number in within),
        others=sum(len(unit.of_step) for unit in others),
        modules=tuple(dict.fromkeys(each.check.module for each in checks)),
        iteration=first.iteration,
        iterations=tuple(sorted(later)),
        saved=found.saved if found is not None else 0.0,
        unseen=unseen,
        asked=Asked(sum(unit.wrong for unit in asked_within), len(asked_within), sum(unit.asked for unit in others)),
    )


def _kind_of(unit: _Unit) -> str:
    """The kind of the error of a unit's worst check: errors of one kind may have one cause."""
    row = max((each.row for each in unit.checks if each.wrong), key=lambda row: row.excess)
    if not math.isfinite(row.error):
        return "not finite"
    if abs(row.projection + 1) < _ALIKE and abs(row.error - 1) < _ALIKE:
        return "zero"
    if row.error and abs(abs(row.projection) / row.error - 1) < _ALIKE:
        return f"factor {row.projection:.2g}"
    return "other"


def _error_words(rows: Sequence[ShadowRow]) -> str:
    """What is wrong with the tensors, as it follows "are"."""
    part = rows[0].part
    if part is Part.PRECISION:
        return f"stored with {min(bits_of(row.error) for row in rows)} mantissa bits"
    if part is Part.RANDOM:
        return "drawn from another distribution or stream"
    if any(not math.isfinite(row.error) or math.isnan(row.projection) for row in rows):
        return "not finite, or not comparable"
    if all(abs(row.projection + 1) < 1e-6 and abs(row.error - 1) < 1e-6 for row in rows):
        return "zero"
    return _factor_words(rows) or _size_words(rows)


def _factor_words(rows: Sequence[ShadowRow]) -> str:
    """The factor that all are off by, empty where there is none."""
    factor = median(row.projection for row in rows)
    scaled = all(row.error and abs(abs(row.projection) / row.error - 1) < _ALIKE for row in rows)
    if not scaled or any(abs(row.projection - factor) > _ALIKE * abs(factor) for row in rows):
        return ""
    if factor >= 1:
        return f"{1 + factor:.3g} times as large as they should be"
    return f"{_percent(abs(factor))} too {'large' if factor > 0 else 'small'}"


def _size_words(rows: Sequence[ShadowRow]) -> str:
    errors = sorted(row.error for row in rows)
    low, high = _percent(errors[0]), _percent(errors[-1])
    if all(row.allowed == 0.0 for row in rows):
        return f"wrong in {high} of their elements"
    return f"off by {low}" if low == high else f"off by {low} to {high}"


def _percent(ratio: float) -> str:
    return f"{100 * ratio:.0f} %" if ratio >= 0.1 else f"{100 * ratio:.2g} %"


def _join(causes: Sequence[Cause]) -> list[Cause]:
    """Tensors of one operation, or of it and its backward, that are wrong in the same calls are one cause.

    The format that a result was stored in says more than its error does.
    """
    joined: dict[tuple[object, ...], Cause] = {}
    for cause in causes:
        struck = "all" if cause.wrong == cause.within and not cause.attribute else frozenset(cause.modules)
        key = (kernel_of(cause.ops[0]), cause.attribute, struck, cause.iteration)
        known = joined.get(key)
        if known is None:
            joined[key] = cause
            continue
        errors = [each.error for each in (known, cause) if each.part is Part.PRECISION] or [known.error, cause.error]
        joined[key] = replace(
            known,
            part=cause.part if known.part is Part.PRECISION else known.part,
            ops=tuple(dict.fromkeys((*known.ops, *cause.ops))),
            tensors=tuple(dict.fromkeys((*known.tensors, *cause.tensors))),
            error=errors[0] if len(set(errors)) == 1 else "wrong",
            modules=tuple(dict.fromkeys((*known.modules, *cause.modules))),
            wrong=max(known.wrong, cause.wrong),
            within=max(known.within, cause.within),
            others=max(known.others, cause.others),
            unseen=min(known.unseen, cause.unseen),
            iterations=tuple(sorted({*known.iterations, *cause.iterations})),
        )
    return list(joined.values())
