"""Forms: how the lines of one format string are built, learned from one of them, to read the others many at once.

Training logs print millions of lines from one format string, and only the digits of their numbers differ. A **form** is
such a line with, at each byte, what may stand there: this byte, or any digit. A line that fits says the same as the one
that the form was learned from, but for its values (``studying`` finds out of which digits that holds), so its numbers
are taken from where they stand, and nothing else of it needs a look. There are three kinds:

- a **loose form** is of a line's *skeleton*, in which every number is one digit a run, however wide it was printed. It
  is learned by reading a line, and takes several passes over the text.
- a **line pattern** is the regular expression of a loose one, for lines whose numbers have many widths.
- an **exact form** is of a line as it is, made of a loose one for the widths that are met most often. All lines of its
  length are one matrix of bytes, compared with the form's lowest and highest byte, and a number is a few columns of it:
  the cheapest way there is.

What fits no form is left to the reading line by line: how fast a log is read depends on this module, not what is read.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Generic

import numpy as np

from harness.logs.exact_forms import ExactForm, make_exact
from harness.logs.line_patterns import LinePatterns
from harness.logs.loose_forms import LooseForm, Skeletons, learn
from harness.logs.matrices import Lines, Matrix
from harness.logs.meaning import Meaning, Reading, S
from harness.values.trace import IntArray

__all__ = ["Forms"]

_BLOCK = 1 << 18  # bytes whose skeletons are made at a time: what is made of them fits the processor's caches
_FIRST = 1 << 16  # bytes that forms are learned on, before the rest of a log's first piece
_LONGEST_LEARNED = 1 << 14  # bytes of a line
_WORTH_LEARNING = 64  # lines of a piece; fewer are read as fast one by one
_FEWEST = 24  # lines of one length that are worth a form
_WORTH_LOOKING = 4  # lines left, that are worth the passes of the loose forms
_MOST_LOOSE, _MOST_EXACT = 48, 64
_MOST_TRIED = 6  # lines studied in a part of a log
_MOST_REFUSED = 1000  # skeletons remembered that can't be learned from
_MOST_MADE = 6  # exact forms made of a loose one in a part of a log
_SAMPLE = 200  # lines of a loose form, of which the commonest widths of numbers are taken
_COMMON = 0.02  # of these, that an exact form is made for
_WORTH_ASKING = 0.5  # of a part's lines, that exact forms must take to be asked on the next one
_MOST_PATTERNS = 4  # line patterns tried on a part of a log
_MOST_MISSED = 2  # parts in a row of which exact forms took too few, before they rest
_LONGEST_REST = 16  # parts that exact forms aren't asked on


@dataclass
class Forms(Generic[S]):
    """The forms of a log, learned while it is read.

    Args:
        meaning: what a line says; None for a line that isn't to be read in bulk.
        marker: something in each line that may be learned from.
        groups: whether commas may stand inside numbers, between thousands.
    """

    meaning: Callable[[bytes], Meaning[S] | None]
    marker: re.Pattern[bytes]
    groups: bool
    _loose: list[LooseForm[S]] = field(default_factory=list)
    _exact: dict[int, list[ExactForm[S]]] = field(default_factory=dict)
    _refused: set[bytes] = field(default_factory=set)
    _patterns: tuple[list[LooseForm[S]], LinePatterns] | None = None
    _made: bool = False
    _missed: int = 0
    _asleep: int = 0
    _rest: int = 1

    def read(self, piece: bytes) -> tuple[list[Reading[S]], list[tuple[int, int]]]:
        """What the lines of a piece say that fit a form, and the stretches of the others.

        Args:
            piece: whole lines, the last one ended by a newline.
        """
        lines = Lines(piece)
        if not self._loose and len(lines.starts) < _WORTH_LEARNING:
            return [], [(0, len(piece))]
        readings: list[Reading[S]] = []
        first = 0 if self._loose else int(np.searchsorted(lines.starts, _FIRST))
        for begin, end in ((0, first), (first, len(lines.starts))):
            if begin < end:
                readings += self._read_rows(lines, np.arange(begin, end))
        return readings, lines.gaps()

    def _read_rows(self, lines: Lines, rows: IntArray) -> Iterator[Reading[S]]:
        left, asleep = rows, self._asleep > 0
        if asleep:
            self._asleep -= 1
        elif self._exact:
            yield from self._by_exact(lines, rows)
            left = rows[lines.unread[rows]]
            if len(left) <= (1 - _WORTH_ASKING) * len(rows) or len(rows) <= _WORTH_LEARNING:
                self._rest, self._missed = 1, 0
            elif self._missed == _MOST_MISSED:
                self._sleep()
            else:  # a counter has grown by a digit, perhaps: those of its new width are made of the next block
                self._exact.clear()
                self._missed += 1
        if len(left) < _WORTH_LOOKING or not (self._loose or len(left) >= _FEWEST):
            return
        ends = np.cumsum(lines.widths[left])
        cuts = np.searchsorted(ends, np.arange(_BLOCK, int(ends[-1]), _BLOCK))
        for block in np.split(left, cuts):
            part = block
            if self._made:  # the blocks before have taught something
                yield from self._by_exact(lines, part)
                part = part[lines.unread[part]]
            if asleep or self._asleep:
                yield from self._by_pattern(lines, part)
                part = part[lines.unread[part]]
            if len(part) >= _WORTH_LOOKING or len(part) == len(block) > 0:
                yield from self._by_skeleton(lines, part)
        self._made = False

    def _sleep(self) -> None:
        """Ask exact forms no more for some parts, for twice as many each time that they take too few lines."""
        self._exact.clear()
        self._missed = 0
        self._asleep, self._rest = self._rest, min(2 * self._rest, _LONGEST_REST)

    def _by_pattern(self, lines: Lines, rows: IntArray) -> Iterator[Reading[S]]:
        """By the patterns of the forms that took the most lines."""
        known = sorted((form for form in self._loose if form.pattern), key=lambda form: -form.taken)[:_MOST_PATTERNS]
        if not known or len(rows) < _WORTH_LOOKING:
            return
        forms = sorted(known, key=self._loose.index)
        if self._patterns is None or self._patterns[0] != forms:
            self._patterns = forms, LinePatterns([form.pattern for form in forms if form.pattern])
        buffer, begin, length = lines.buffer_of(rows)
        for number, (fits, integers, decimals) in self._patterns[1].read(buffer, begin, begin + length):
            form, mine = forms[number], rows[fits]
            form.taken += len(mine)
            lines.unread[mine] = False
            spelled = {name: np.full(len(mine), value) for name, value in form.spelled.items()}
            yield Reading(lines.starts[mine], form.meaning, integers, decimals | spelled)

    def _by_exact(self, lines: Lines, rows: IntArray) -> Iterator[Reading[S]]:
        widths = np.minimum(lines.widths[rows], _LONGEST_LEARNED + 1).astype(np.uint16)  # small numbers compare fast
        counts = np.bincount(widths, minlength=_LONGEST_LEARNED + 2)
        for width, forms in self._exact.items():
            if not counts[width]:
                continue
            mine = rows[widths == width] if counts[width] < len(rows) else rows
            for form in forms:
                if not mine.size:
                    break
                matrix = Matrix(lines.text, lines.starts[mine], width)
                fits = form.fit.fits(matrix.flat)
                read = mine
                if not fits.all():
                    read = mine[fits]
                    if not read.size:
                        continue
                    matrix = Matrix(lines.text, lines.starts[read], width)
                lines.unread[read] = False
                yield form.read(matrix, lines.starts[read])
                mine = mine[~fits]

    def _by_skeleton(self, lines: Lines, rows: IntArray) -> Iterator[Reading[S]]:
        skeletons = Skeletons(lines, rows)
        for form in self._loose:
            yield from self._take(form, skeletons, lines)
        for _ in range(_MOST_TRIED):
            candidate = self._candidate(skeletons)
            if candidate is None or len(self._loose) >= _MOST_LOOSE:
                return
            line = lines.line(int(rows[candidate]))
            learned = None
            if len(line) < _LONGEST_LEARNED and self.marker.search(line):
                learned = learn(line, self.meaning, groups=self.groups)
            if learned is not None:
                self._loose.append(learned)
                yield from self._take(learned, skeletons, lines)
            if skeletons.unread[candidate] and len(self._refused) < _MOST_REFUSED:
                self._refused.add(skeletons.skeleton(candidate))

    def _candidate(self, skeletons: Skeletons) -> int | None:
        """A line to learn from: the first of the most frequent width that wasn't tried."""
        left = np.flatnonzero(skeletons.unread)
        if len(left) < _FEWEST:
            return None
        widths, first, counts = np.unique(skeletons.widths[left], return_index=True, return_counts=True)
        for number in np.argsort(-counts, kind="stable").tolist():
            if counts[number] < _FEWEST or widths[number] > _LONGEST_LEARNED:
                return None
            if skeletons.skeleton(int(left[first[number]])) not in self._refused:
                return int(left[first[number]])
        return None

    def _take(self, form: LooseForm[S], skeletons: Skeletons, lines: Lines) -> Iterator[Reading[S]]:
        """The lines that fit a loose form; exact ones are made for the commonest widths of their numbers."""
        found = skeletons.read(form)
        if found is None:
            return
        mine, reading = found
        rows = skeletons.rows[mine]
        lines.unread[rows] = False
        yield Reading(lines.starts[rows], form.meaning, reading.integers, reading.decimals)
        form.taken += len(mine)
        if self._asleep or len(mine) < _FEWEST:
            return
        sample = np.unique(np.linspace(0, len(mine) - 1, _SAMPLE).astype(np.int64))
        kinds = Counter(skeletons.widths_of(int(mine[number])) for number in sample)
        common = [(kind, count) for kind, count in kinds.most_common(_MOST_MADE) if count >= _COMMON * len(sample)]
        if sum(count for _, count in common) < _WORTH_ASKING * len(sample) and len(sample) >= _FEWEST:
            self._sleep()  # so many widths that exact forms of some would leave most lines
            return
        for kind, _ in common:
            first = next(number for number in sample if skeletons.widths_of(int(mine[number])) == kind)
            self._keep(make_exact(form, lines.line(int(rows[first]))))

    def _keep(self, form: ExactForm[S] | None) -> None:
        """Remember an exact form; the oldest of too many is forgotten."""
        if form is None:
            return
        if sum(map(len, self._exact.values())) >= _MOST_EXACT:
            del self._exact[next(iter(self._exact))]
        self._made = True
        self._exact.setdefault(form.fit.width, []).append(form)
