"""Causes: what the wrong calls of a run have in common."""

from __future__ import annotations

from dataclasses import dataclass, field

from harness.shadow.evidence.part import Part
from harness.values.bounds import Count, NotNegative

__all__ = ["Cause", "kernel_of", "name_result"]

_NOUNS = {
    "convolution": "convolutions",
    "convolution_overrideable": "convolutions",
    "native_batch_norm": "batch norms",
    "cudnn_batch_norm": "batch norms",
    "native_layer_norm": "layer norms",
    "native_group_norm": "group norms",
    "max_pool2d_with_indices": "max poolings",
    "_adaptive_avg_pool2d": "adaptive average poolings",
    "avg_pool2d": "average poolings",
    "upsample_bilinear2d": "bilinear resizes",
    "upsample_nearest2d": "nearest resizes",
    "_softmax": "softmaxes",
    "_log_softmax": "log-softmaxes",
    "threshold": "ReLUs",
    "relu": "ReLUs",
    "mm": "matrix products",
    "addmm": "matrix products",
    "bmm": "batched matrix products",
    "cat": "concatenations",
    "nll_loss2d": "losses (nll_loss2d)",
    "nll_loss": "losses (nll_loss)",
}


_OF_PARAMETERS = frozenset({Part.OPTIMIZER, Part.REDUCE})


def kernel_of(op: str) -> str:
    """The operation without what makes a forward or a backward of it, or writes in place."""
    for ending in ("_backward_data", "_backward", "_forward", "_"):
        op = op.removesuffix(ending)
    return op


def name_result(part: Part, op: str, tensor: str) -> tuple[str, str]:
    """What a result is, and whose where it is a parameter's: a check names it ``weight update``.

    Args:
        part: of the check.
        op: of the check.
        tensor: of the check.

    Returns:
        Its name among the results of its operation, and the last part of the parameter's name, empty for others.
    """
    if part is Part.PRECISION:
        return tensor.removeprefix("format of "), ""
    if part in _OF_PARAMETERS and op != "schedule":
        parameter, _, what = tensor.partition(" ")
        return what or "value", parameter
    return tensor, ""


@dataclass(frozen=True, slots=True)
class Asked:
    """Calls like a wrong one that the device was asked afterwards, in one thing different from it each.

    Args:
        wrong: how many of those with the cause's attribute came out wrong; of all of them where there is none.
        within: how many have it.
        others: how many haven't it; they came out right.
    """

    wrong: Count = 0
    within: Count = 0
    others: Count = 0


@dataclass(frozen=True, slots=True)
class Cause:
    """Wrong tensors that one wrong kernel explains.

    Args:
        ops: the operation; with it its backward, where the same calls of both are wrong.
        part: of the step.
        tensors: which of their results are wrong, as ``name_result`` has them.
        error: what is wrong with them: ``5 % too large``.
        attribute: what holds for the wrong calls and not for the right ones, as it follows a noun: ``with dilation >
            1``. Empty where every call is wrong, or nothing plain tells them apart.
        equals: other attributes that hold for the same calls, so that they can't be told from it here. Where there is
            no attribute: those that set the wrong calls apart, but would set apart as many calls by chance.
        wrong: how many calls came out wrong, at the first iteration where one did.
        within: how many calls have the attribute; all where there is none, but for those that don't show it.
        others: how many haven't it and are right. Calls that are wrong in another way have a cause of their own.
        modules: of the wrong calls, in the order of the step.
        iteration: the first that was wrong.
        iterations: all shadowed iterations that were wrong.
        saved: bits that the attribute saves: by chance one as good is found once in 2^saved.
        asked: calls that the device was asked afterwards.
        unseen: how many calls more there are in which what is wrong would lie within rounding: they count as neither.
    """

    ops: tuple[str, ...]
    part: Part
    tensors: tuple[str, ...]
    error: str
    attribute: str
    equals: tuple[str, ...]
    wrong: Count
    within: Count
    others: Count
    modules: tuple[str, ...]
    iteration: Count
    iterations: tuple[Count, ...]
    saved: NotNegative = 0.0
    asked: Asked = field(default_factory=Asked)
    unseen: Count = 0

    @property
    def sentence(self) -> str:
        """The cause without its evidence: ``weight gradients of all 68 convolutions are 5 % too large``."""
        return f"{self._subject} {self.error}"

    @property
    def since(self) -> str:
        """When: ``from iteration 0 on``, ``at iteration 5``."""
        return f"from iteration {self.iteration} on" if len(self.iterations) > 1 else f"at iteration {self.iteration}"

    @property
    def evidence(self) -> str:
        """The counts behind the sentence."""
        told = f"{self.wrong} of {self.within} calls"
        if self.attribute:
            told += f" {self.attribute}" + (f", none of the {self.others} others" if self.others else "")
        told += f", {self.since}"
        if self.asked.within:
            told += f"; asked again, each with one thing changed, {self.asked.wrong} of {self.asked.within} are wrong"
            told += f" and none of {self.asked.others} without it" if self.attribute and self.asked.others else ""
        if self.unseen:
            told += f"; in {self.unseen} more it would not show"
        if not self.equals:
            return told
        equals = f"those {', and those '.join(self.equals)}"
        if self.attribute:
            return f"{told}; the same calls are {equals}"
        return f"{told}; too few to tell why: they are also {equals}"

    def explains(self, part: Part, op: str, tensor: str, module: str) -> bool:
        """Whether a tensor that is wrong is one of this cause's."""
        return op in self.ops and module in self.modules and name_result(part, op, tensor)[0] in self.tensors

    @property
    def _subject(self) -> str:
        """Subject and verb: one tensor, some of them, or all that have the attribute."""
        op = self.ops[0]
        if self.within == 1 or (self.wrong == 1 and not self.attribute):
            where = self.modules[0] if self.modules and self.modules[0] else op
            what = _listed(list(self.tensors))
            return f"{what} of {where} ({op}) {'are' if len(self.tensors) > 1 else 'is'}"
        kernel = kernel_of(op)
        noun = _NOUNS.get(kernel, f"calls of {op}")
        backward = [("_backward" in each) for each in self.ops]
        if any(backward) and not any("gradient" in tensor for tensor in self.tensors):
            noun += " in the backward" if all(backward) else ", forward and backward,"
        if self.part in _OF_PARAMETERS:
            noun = f"parameters ({op})"
        if self.wrong < self.within:
            many = f"{self.wrong} of {self.within}"
        else:  # of all, but where there are some of which nothing is known
            many = f"{self.within}" if self.unseen and not self.attribute else f"all {self.within}"
        tensors = _listed([f"{tensor.removesuffix('s')}s" for tensor in self.tensors])
        return " ".join(filter(None, (f"{tensors} of {many} {noun}", self.attribute, "are")))


def _listed(names: list[str]) -> str:
    if len(names) > 3:
        return "results"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
