"""The learning rates of an optimizer's parameter groups, each under a name that it keeps."""

from __future__ import annotations

from collections.abc import Mapping

import torch

__all__ = ["LearningRates"]


class LearningRates:
    """Names the rates of parameter groups: ``lr``, and ``lr.1`` … of those that ever had another.

    mmengine makes a group of each parameter where a config sets one of them apart; hundreds of equal columns would
    say nothing. So groups that have had one rate at every iteration share a name, the first group's being ``lr``. Rates
    that meet later keep their names; groups that part later get new ones, which the trace says (see ``store.stream``).

    Args:
        groups: name → numbers of its groups, of the run that this one goes on with; empty for a run that begins.
    """

    def __init__(self, groups: Mapping[str, tuple[int, ...]] | None = None) -> None:
        self._groups: dict[str, tuple[int, ...]] = dict(groups or {})
        self._named = len(self._groups)
        self._last: list[float] = []

    def read(self, *optimizers: torch.optim.Optimizer) -> tuple[dict[str, float], dict[str, tuple[int, ...]] | None]:
        """The rates that the groups have now.

        Args:
            *optimizers: whose groups, one after another; a group that is added gets a name of its own.

        Returns:
            Name → rate; and name → groups where a name is new, else None.
        """
        rates = [float(group["lr"]) for optimizer in optimizers for group in optimizer.param_groups]
        if rates == self._last:  # NaN is never equal, and goes the long way
            return {name: rates[members[0]] for name, members in self._groups.items()}, None
        self._last = rates
        known = {number for members in self._groups.values() for number in members}
        together = [(name, members) for name, members in self._groups.items()]
        together += [("", tuple(number for number in range(len(rates)) if number not in known))]
        groups: dict[str, tuple[int, ...]] = {}
        new: list[tuple[int, ...]] = []
        for name, members in together:
            alike: dict[str, list[int]] = {}
            for number in members:
                if number < len(rates):
                    alike.setdefault(repr(rates[number]), []).append(number)  # NaN is alike too
            parts = [tuple(part) for part in alike.values()]  # in the order of their first groups
            if name and parts:
                groups[name] = parts.pop(0)
            new += parts
        for part in sorted(new):
            groups[f"lr.{self._named}" if self._named else "lr"] = part
            self._named += 1
        changed = groups != self._groups
        self._groups = groups
        return {name: rates[members[0]] for name, members in groups.items()}, groups if changed else None
