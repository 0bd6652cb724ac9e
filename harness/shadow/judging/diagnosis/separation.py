"""The shortest description of the calls that are wrong, among those that are right.

Minimum description length (J. Rissanen, "Modeling by shortest data description", *Automatica* 14, 1978): to tell which
w of n calls are wrong takes log₂ C(n, w) bits. An attribute that holds for e of them, all the wrong ones among these,
takes its own bits, and log₂ C(e, w) for which of the e. It is believed where it saves enough.

The bits of an attribute are those of a prefix code (they fulfil Kraft's inequality): half of the codes are spent on the
plainest attributes, a quarter on the next, and so on. So if the w wrong calls were any w at random, the chance that
some attribute saves b bits is at most 2⁻ᵇ, however many attributes were tried: the chance of one is C(e, w) / C(n, w),
and the sum over all of them is bounded by 2⁻ᵇ · Σ 2^−bits.
"""

from __future__ import annotations

import math
from collections.abc import Sequence, Set
from dataclasses import dataclass
from itertools import combinations

__all__ = ["FALSE_CLAIM_RATE", "Attribute", "Separation", "separate", "set_apart"]

FALSE_CLAIM_RATE = 0.02
"""Chance that an attribute is named where the wrong calls are any calls."""

_SAVED = -math.log2(FALSE_CLAIM_RATE)

PAIRED = {(1, 1): 3, (1, 2): 6, (2, 2): 6}
"""Levels of two attributes → the level of both together. Rarer ones aren't combined: they would describe anything."""


@dataclass(frozen=True, slots=True)
class Attribute:
    """Something that holds for some calls, and not for others.

    Args:
        words: as it follows a noun: ``with dilation > 1``.
        level: how plain it is, from 1: half of all codes are for the plainest.
        holds: numbers of the calls that it holds for.
    """

    words: str
    level: int
    holds: frozenset[int]


@dataclass(frozen=True, slots=True)
class Separation:
    """An attribute that tells wrong calls from right ones.

    Args:
        words: of the attribute, or of the two together.
        holds: numbers of the calls that it holds for; all the wrong ones are among them.
        saved: bits that it saves, so that chance finds one as good at most once in 2^saved.
        equals: words of other attributes of the same calls that are as plain, in order.
    """

    words: str
    holds: frozenset[int]
    saved: float
    equals: tuple[str, ...] = ()


def separate(attributes: Sequence[Attribute], wrong: Set[int], calls: int) -> Separation | None:
    """The attribute, or pair of attributes, that describes the wrong calls in the fewest bits.

    Args:
        attributes: of the calls, the plainest of each level first.
        wrong: numbers of the wrong calls.
        calls: how many calls there are, numbered from 0.

    Returns:
        None where none saves enough, as where every call is wrong.
    """
    candidates = _candidates(attributes, calls)
    sizes: dict[int, int] = {}
    for candidate in candidates:
        sizes[candidate.level] = sizes.get(candidate.level, 0) + 1
    plainly = _bits_of_choice(calls, len(wrong))
    bits, best = min(
        (
            (one.level + math.log2(sizes[one.level]) + _bits_of_choice(len(one.holds), len(wrong)), one)
            for one in candidates
            if wrong <= one.holds
        ),
        key=lambda found: found[0],
        default=(math.inf, None),
    )
    if best is None or plainly - bits < _SAVED:
        return None
    same = (one for one in attributes if one.holds == best.holds and one.level <= best.level)
    equals = tuple(one.words for one in same if one.words != best.words)
    return Separation(best.words, best.holds, plainly - bits, equals)


def set_apart(attributes: Sequence[Attribute], wrong: Set[int], calls: int, most: int = 3) -> tuple[str, ...]:
    """The plainest attributes that exactly the wrong calls have, however many would have one by chance.

    Args:
        attributes: as ``separate`` takes them.
        wrong: numbers of the wrong calls.
        calls: how many calls there are.
        most: how many to tell.
    """
    exactly = [one for one in [*attributes, *_candidates(attributes, calls)] if one.holds == wrong]
    return tuple(dict.fromkeys(one.words for one in sorted(exactly, key=lambda one: one.level)))[:most]


def _candidates(attributes: Sequence[Attribute], calls: int) -> list[Attribute]:
    """The attributes that tell calls apart, and pairs of them; of those of the same calls the plainest."""
    found = _telling(attributes, calls)
    pairs = [
        Attribute(f"{one.words} and {other.words}", PAIRED[one.level, other.level], one.holds & other.holds)
        for one, other in combinations(sorted(found, key=lambda one: one.level), 2)
        if (one.level, other.level) in PAIRED
    ]
    return _telling([*found, *pairs], calls)


def _telling(attributes: Sequence[Attribute], calls: int) -> list[Attribute]:
    """Those that don't hold for all calls or for none, of those of the same calls the plainest."""
    first: dict[frozenset[int], Attribute] = {}
    for attribute in attributes:
        if 0 < len(attribute.holds) < calls:
            known = first.get(attribute.holds)
            if known is None or attribute.level < known.level:
                first[attribute.holds] = attribute
    return list(first.values())


def _bits_of_choice(among: int, chosen: int) -> float:
    """log₂ C(among, chosen)."""
    return (math.lgamma(among + 1) - math.lgamma(chosen + 1) - math.lgamma(among - chosen + 1)) / math.log(2)
