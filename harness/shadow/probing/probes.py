"""Which calls like a wrong one are wrong: an experiment, where the calls of a step are what training happened to make.

The wrong call is asked of the device again. Where it is wrong alone, and with other values as well, calls that differ
from it in one thing are asked, and where a length decides, the length is found by halving. Each that is surely wrong or
surely right is a further check beside those of the step. Around calls that an option, a layout or a format makes right
some more are asked. A call that is right is asked again with other values, with large and with small ones: a fault that
strikes by chance, or by its values, would name a size that has nothing to do with it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import torch

from harness.shadow.probing.lone_call import Answer, Asking, LoneCall
from harness.shadow.probing.sizes import REFUSALS, Axes, axes_of, resized
from harness.shadow.probing.variations import Values, redrawn, variations_of

__all__ = ["Probed", "probe"]

SMALL = 1 << 13
"""Elements of a call that is asked a hundred times; a larger one is made smaller first, while it is wrong."""

_CONTROLS = 3
"""How often the wrong call is asked with the same values, and with others: all of them have to be wrong."""

_ALIKE = 0.01
"""By how much the same call may be less or more off than before."""

_TURNED, _AROUND = 6, 12
"""Of calls that are right by an option, a layout or a format: how many are looked around at, and how many calls around
each are asked. An option has two values or three, and one right call beside many wrong ones could be a coincidence."""

_AGAIN = (Values.ALL, Values.LARGEST, Values.SMALLEST)
"""With which values a call that is right is asked again.

A rectifier that cuts off what is above 6 is right wherever nothing is, which is likelier the fewer elements there are:
asked with a tensor's largest values alone, it is wrong at any size.
"""


@dataclass(frozen=True, eq=False)
class Probed:
    """What a device makes of calls like a wrong one.

    Args:
        answers: those that are surely wrong or surely right.
        why_not: result → why nothing was asked of it.
    """

    answers: tuple[Answer, ...] = ()
    why_not: Mapping[str, str] = field(default_factory=dict)


def probe(call: LoneCall, results: Sequence[str], asking: Asking, seconds: float) -> Probed:
    """Ask a device what it makes of calls like one that is wrong.

    Args:
        call: that was wrong.
        results: which of its results were, by the names of their answers.
        asking: asks the device.
        seconds: that it may take.
    """
    deadline = time.monotonic() + seconds
    why_not: dict[str, str] = {}

    def keep(answers: Sequence[Mapping[str, Answer]], like: Mapping[str, Answer] | None, reason: str) -> None:
        for result in [result for result in results if result not in why_not]:
            found = [answer.get(result) for answer in answers]
            if not all(each is not None and each.wrong for each in found) or (
                like is not None and not all(_is_alike(like[result], each) for each in found if each is not None)
            ):
                why_not[result] = reason

    wrong = asking.ask(call)
    keep([wrong], None, "it is right when it is called alone")
    if len(why_not) < len(results):
        again = [asking.ask(call) for _ in range(_CONTROLS)]
        keep(again, wrong, "with the same values it is off by another amount each time")
    left = [result for result in results if result not in why_not]
    if not left:
        return Probed(why_not=why_not)
    call = _smaller(call, left, asking, deadline)
    generator = torch.Generator().manual_seed(0)
    controls = [asking.ask(redrawn(call, generator)) for _ in range(_CONTROLS)]
    keep(controls, None, "it is right with other values of the same sizes")
    left = [result for result in left if result not in why_not]
    if not left:
        return Probed(why_not=why_not)
    experiment = _Experiment(asking, {result: controls[0][result] for result in left}, generator, deadline)
    turned = experiment.ask_each(variations_of(call))
    experiment.find_lengths(call)
    sizes = axes_of(call)[1]
    for right in [other for other in turned if axes_of(other)[1] == sizes][:_TURNED]:
        experiment.ask_each(islice(variations_of(right), _AROUND))
    return Probed(tuple(experiment.found), why_not)


def _is_alike(wrong: Answer, again: Answer) -> bool:
    """Whether a call is as wrong as it was: a sum that is added up in another order each time rounds otherwise."""
    return again.row.error == wrong.row.error or abs(again.row.error / wrong.row.error - 1) < _ALIKE


def _smaller(call: LoneCall, results: Sequence[str], asking: Asking, deadline: float) -> LoneCall:
    """The call with its longest axes halved, while it is wrong and large."""
    axes, sizes = axes_of(call)
    kept: set[str] = set()
    while call.cost > SMALL and time.monotonic() < deadline:
        longest = max(
            (name for name in sizes if name not in kept and sizes[name] > 3), key=sizes.__getitem__, default=""
        )
        if not longest:
            break
        try:
            half = resized(call, axes, {longest: sizes[longest] // 2})
        except REFUSALS:
            kept.add(longest)
            continue
        answers = asking.ask(half)
        if all(result in answers and answers[result].wrong for result in results):
            call, sizes[longest] = half, sizes[longest] // 2
        else:
            kept.add(longest)
    return call


class _Experiment:
    """Asks calls until the time is over.

    Args:
        asking: asks the device.
        wrong: what it makes of the wrong call, by result.
        generator: of the values.
        deadline: when to end, as ``time.monotonic`` has it.

    Attributes:
        found: the sure answers, each result of a signature once.
    """

    def __init__(
        self, asking: Asking, wrong: Mapping[str, Answer], generator: torch.Generator, deadline: float
    ) -> None:
        self._asking, self._wrong = asking, wrong
        self._generator, self._deadline = generator, deadline
        self.found: list[Answer] = list(wrong.values())
        self._known = {(result, repr(answer.signature)) for result, answer in wrong.items()}

    def ask_each(self, calls: Iterator[LoneCall]) -> list[LoneCall]:
        """Ask calls in turn; those that are right."""
        right = []
        for call in calls:
            if time.monotonic() > self._deadline:
                break
            answers = self._ask(call)
            if answers and not any(answer.wrong for answer in answers.values()):
                right.append(call)
        return right

    def find_lengths(self, call: LoneCall) -> None:
        """Of each axis whose half is right find the length that decides, by halving."""
        axes, sizes = axes_of(call)
        first = next(iter(self._wrong))
        for name, size in sizes.items():
            right, wrong = size // 2, size
            answer = self._with_length(call, axes, name, right).get(first) if right > 1 else None
            if answer is None or answer.wrong:
                continue
            while right < wrong - 1:
                middle = (right + wrong) // 2
                answer = self._with_length(call, axes, name, middle).get(first)
                if answer is None:
                    break
                right, wrong = (right, middle) if answer.wrong else (middle, wrong)

    def _with_length(self, call: LoneCall, axes: Axes, name: str, length: int) -> Mapping[str, Answer]:
        if time.monotonic() > self._deadline:
            return {}
        try:
            return self._ask(resized(call, axes, {name: length}))
        except REFUSALS:
            return {}

    def _ask(self, call: LoneCall) -> Mapping[str, Answer]:
        """The answers that are sure: wrong, or right with other values too."""
        answers = self._asking.ask(redrawn(call, self._generator))
        sure = {result: answers[result] for result in self._wrong if result in answers}
        right = {result for result, answer in sure.items() if not answer.wrong}
        # A fault that strikes some calls only is right most of the time: one right answer says little.
        for values in _AGAIN if right else ():
            again = self._asking.ask(redrawn(call, self._generator, values))
            for result in list(right):
                if result not in again or not again[result].is_right_beside(self._wrong[result]):
                    right.discard(result)
                    del sure[result]
        for result in [result for result in right if not sure[result].is_right_beside(self._wrong[result])]:
            del sure[result]
        for result, answer in sure.items():
            key = (result, repr(answer.signature))
            if key not in self._known:
                self._known.add(key)
                self.found.append(answer)
        return sure
