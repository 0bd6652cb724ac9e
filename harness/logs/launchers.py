"""What a launcher puts before each line: whose it is, or when it came. Taken off, and the rank kept.

``mpirun --tag-output``, ``srun --label``, Ray, Docker Compose and Kubernetes begin every line with a word of their own.
Programs whose records are told by a line's start would not be known behind it, and the records of several processes
would be taken for one. So where nearly every line begins so, the word is replaced by ``[rank3]: ``, which torchrun
itself prints and every reader knows, or by nothing where one process alone speaks.
"""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, field

from harness.logs.gathering import Gathering

__all__ = ["START", "Launcher", "find_launcher"]

START = (
    rb"^(?:\[(?:rank|default)\d{1,6}\]:? ?)?"
    rb"(?:\[?\d{4}-\d\d-\d\d[ T][\d:.,]{8,18}\]?(?: - [A-Z]{4,8} - |[ \t]))?"
)
"""Where a line begins, behind torchrun's own word or not, and a time."""

_STAMP = rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d{1,9})?(?:Z|[+-]\d\d:?\d\d) "
_NO_PHASE = rb"(?!(?i:epoch|iter|step|batch|train|val|test|eval|fold|stage))"
_PATTERNS = tuple(
    (name, re.compile(rb"\n" + pattern))
    for name, pattern in (
        ("mpirun", rb"\[\d{1,9},(\d{1,6})\]<std(?:out|err)>: ?"),
        ("Ray", rb"\((\w[\w.<>-]{0,80} pid=\d{1,9}(?:, ip=[\w.:-]{1,60})?)\) "),
        ("Docker Compose", _NO_PHASE + rb"([A-Za-z][\w.-]{0,80}[-_]\d{1,4}) {1,20}\| "),
        ("Kubernetes", rb"\[" + _NO_PHASE + rb"(?:pod/)?([A-Za-z][\w.-]{1,120}/[\w./-]{1,120})\] "),
        ("time stamps", _STAMP),
        ("srun", rb" {0,4}(\d{1,5}): (?!(?:TRAIN|VALIDATION|TEST) \[)"),  # NVIDIA's GNMT prints its rank so itself
    )
)
"""Each begins with the newline before it: a byte to look for, where ``^`` would be tried at every place of a text."""
_LOOKED_AT = 400  # lines
_SPLIT = 4 * _LOOKED_AT  # among these, blank ones counted
_NEARLY_ALL = 0.9


@dataclass
class Launcher:
    """Takes off what one launcher puts before each line.

    Args:
        name: of the launcher.
        pattern: the newline before and what it prints; its group, where it has one, says whose line it is.
        ranks: whose lines were met → the rank that they get.
        several: whether more than one process speaks.
    """

    name: str
    pattern: re.Pattern[bytes]
    ranks: dict[bytes, int] = field(default_factory=dict)
    several: bool = False

    def take_off(self, piece: bytes) -> bytes:
        """Whole lines without the launcher's word."""
        return self.pattern.sub(self._replace if self.several else b"\n", b"\n" + piece)[1:]

    def _replace(self, match: re.Match[bytes]) -> bytes:
        whose = match[1]
        if whose not in self.ranks:
            self.ranks[whose] = int(whose) if whose.isdigit() else len(self.ranks)
        return b"\n[rank%d]: " % self.ranks[whose]


def find_launcher(head: bytes, found: Gathering) -> Launcher | None:
    """The launcher that a log's lines went through; None where they begin as the program printed them.

    Args:
        head: the log's first part, of whole lines.
        found: is told of it.
    """
    some = head[: 1 << 18].split(b"\n", _SPLIT)[:_SPLIT]
    lines = [b"\n" + line for line in itertools.islice(filter(bytes.strip, some), _LOOKED_AT)]
    for name, pattern in _PATTERNS:
        first = pattern.match(lines[0]) or pattern.match(lines[-1]) if lines else None
        if first is None:
            continue
        matches = [match for line in lines if (match := pattern.match(line))]
        whose = {match[1] for match in matches} if pattern.groups else set()
        if len(matches) < _NEARLY_ALL * len(lines) or len(whose) * 2 > max(len(matches), 2):
            continue  # a number that is another one on each line is an iteration, not a process
        if len(whose) > 1:
            named = all(one.isdigit() for one in whose)
            found.note(
                f"each line begins with a word of {name}: it was taken as the process's rank"
                + ("" if named else ", counted by their first appearance")
            )
        return Launcher(name, pattern, several=len(whose) > 1)
    return None
