"""Causes: what the wrong calls of a run have in common."""

from __future__ import annotations

from dataclasses import dataclass

from harness.shadow.evidence.part import Part
from harness.values.bounds import Count, NotNegative

__all__ = ["Cause"]

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
}


@dataclass(frozen=True, slots=True)
class Cause:
    """Wrong tensors that one wrong kernel explains.

    Args:
        op: the operation.
        part: of the step.
        tensors: which of its results are wrong.
        error: what is wrong with them, as a predicate: ``are 5 % too large``.
        attribute: what holds for the wrong calls and not for the right ones, as it follows a noun: ``with dilation >
            1``. Empty where every call is wrong, or nothing plain tells them apart.
        equals: other attributes that hold for the same calls, so that they can't be told from it here. Where there is
            no attribute: those that set the wrong calls apart, but would set apart as many calls by chance.
        wrong: how many calls came out wrong, at the first iteration where one did.
        within: how many calls have the attribute; all calls where there is none.
        others: how many haven't; none of them is wrong.
        modules: of the wrong calls, in the order of the step.
        iteration: the first that was wrong.
        iterations: all shadowed iterations that were wrong.
        saved: bits that the attribute saves: by chance one as good is found once in 2^saved.
    """

    op: str
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

    @property
    def sentence(self) -> str:
        """The cause without its evidence: ``weight gradients of all 68 convolutions are 5 % too large``."""
        return f"{self._subject} {self.error}"

    @property
    def evidence(self) -> str:
        """The counts behind the sentence."""
        calls = f"{self.wrong} of {self.within} calls"
        if self.attribute:
            calls += f" {self.attribute}, none of the {self.others} others"
        first = f"from iteration {self.iteration} on" if len(self.iterations) > 1 else f"at iteration {self.iteration}"
        if not self.equals:
            return f"{calls}, {first}"
        equals = f"those {', and those '.join(self.equals[:3])}"
        if self.attribute:
            return f"{calls}, {first}; the same calls are {equals}"
        return f"{calls}, {first}; too few to tell why: they are also {equals}"

    @property
    def _subject(self) -> str:
        tensors = _listed([_plural(tensor) for tensor in self.tensors])
        backward = self.op.endswith("_backward")
        noun: str | None = _NOUNS.get(self.op.removesuffix("_backward").removesuffix("_"))
        if self.part is Part.OPTIMIZER:
            noun, tensors = "parameters", "updates"
        if noun is None:
            noun = f"calls of {self.op}"
        elif backward and not any("gradient" in tensor for tensor in self.tensors):
            noun = f"backward {noun}"
        if not self.attribute and self.wrong < self.within:
            if len(self.modules) == 1 and self.modules[0]:
                return f"{tensors} of {self.modules[0]} ({self.op})"
            return f"{tensors} of {self.wrong} of {self.within} {noun}"
        if self.within == 1:
            where = f" in {self.modules[0]}" if self.modules[0] else ""
            return f"{tensors} of the only call of {self.op}{where}"
        many = "all" if self.wrong == self.within else f"{self.wrong} of"
        return " ".join(filter(None, (f"{tensors} of {many} {self.within} {noun}", self.attribute)))


def _plural(tensor: str) -> str:
    return tensor if tensor.endswith("s") else f"{tensor}s"


def _listed(names: list[str]) -> str:
    if len(names) > 3:
        return "results"
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
