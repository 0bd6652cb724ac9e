"""Progress while something runs: how much is done, what runs where, the time left; nothing of it in a log."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Callable, Iterator
from types import TracebackType

from rich.console import RenderableType
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from harness.cli.console import SafeConsole
from harness.language import say
from harness.store.stream import StreamRow

__all__ = ["Board", "RunSteps", "Steps", "run_progress"]


class Steps:
    """The steps of one thing that runs, for its bar."""

    def __init__(self, show: Callable[[int, str], None]) -> None:
        self._show = show
        self.made = 0

    def __call__(self, note: str = "") -> None:
        """One more is made."""
        self.made += 1
        self._show(1, note)

    def checked(self, iteration: int, operations: int) -> None:
        """A shadowed iteration has come so far: of a large model it takes many minutes."""
        self._show(0, say(f"iteration {iteration}: {operations:,} operations checked"))


class Board:
    """A bar for each thing that runs and, where several are planned, one over all of them; to standard error.

    It may be told from several threads. Where standard error is no terminal, only what is printed through it is shown.

    Args:
        planned: how many things are to run.
        what: they are called, in the plural.
        steps: of all of them together, for the time left; 0 where nobody knows.
        shown: whether there are bars: not where another board shows them already.
    """

    def __init__(self, planned: int, what: str, steps: int = 0, *, shown: bool = True) -> None:
        self._console = SafeConsole(stderr=True, highlight=False, soft_wrap=True)
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[note]}"),
            TimeRemainingColumn(),
        )
        shown = shown and self._console.is_terminal
        self._progress = Progress(*columns, console=self._console, transient=True, disable=not shown)
        self._planned, self._what, self._steps = planned, what, steps
        self._ended = 0
        self._all = self._progress.add_task(self._title(), total=steps or planned, note="") if planned > 1 else None

    def __enter__(self) -> Board:
        self._progress.start()
        return self

    def __exit__(self, *_: type[BaseException] | BaseException | TracebackType | None) -> None:
        self._progress.stop()

    def print(self, text: RenderableType) -> None:
        """Print a line above the bars."""
        self._console.print(text)

    @contextlib.contextmanager
    def running(self, title: str, steps: int, where: str = "") -> Iterator[Steps]:
        """The bar of one thing while it runs.

        Args:
            title: its name.
            steps: how many it is to have; 0 where nobody knows.
            where: it runs, such as the card.

        Yields:
            What to call with a note after each step, and to tell what there is to tell in between.
        """
        name = f"{title}{say(' on ')}{where}" if where else title
        task = self._progress.add_task(name, total=steps or None, note="")

        def show(more: int, note: str) -> None:
            self._progress.update(task, advance=more, note=note)
            self._advance(more)

        made = Steps(show)
        try:
            yield made
        finally:
            self._progress.remove_task(task)
            self._advance(steps - made.made)  # what is left out, as it could be decided without it, is done too

    def done(self, things: int = 1, steps: int = 0) -> None:
        """Count things that have ended.

        Args:
            things: how many.
            steps: of them that no bar has shown, as those of a result that was there before.
        """
        self._ended += things
        self._advance(steps)
        if self._all is not None:
            self._progress.update(self._all, advance=0 if self._steps else things, description=self._title())

    def _advance(self, steps: int) -> None:
        if self._all is not None and self._steps and steps > 0:
            self._progress.update(self._all, advance=steps)

    def _title(self) -> str:
        return say(f"{self._ended} of {self._planned} {self._what}")


class RunSteps:
    """The iterations of a run, for its bar: each as the run streams it, and how far a shadowed one has come."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self.checked = steps.checked

    def __call__(self, row: StreamRow) -> None:
        """An iteration is done."""
        self._steps(f"loss {row.signals.get('loss', math.nan):.4f}")


@contextlib.contextmanager
def run_progress(title: str, iterations: int) -> Iterator[RunSteps]:
    """A bar with loss and time left while a run lasts; nothing where standard error is not a terminal.

    Yields:
        What to call with each iteration that the run streams, and with how far a shadowed one has come.
    """
    with Board(1, "runs") as board, board.running(title, iterations) as steps:
        yield RunSteps(steps)
