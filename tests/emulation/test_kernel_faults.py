"""Each fault in kernels, at the operation: it changes what it says, nothing else, and leaves no trace behind."""

from __future__ import annotations

import math
from collections.abc import Callable

import probes
import pytest
import torch
from probes import Results
from torch.nn import functional

from harness.emulation import FAULTS, install, parse_fault

Relation = Callable[[], None]


def measure(name: str, probe: Callable[[], Results]) -> tuple[Results, Results]:
    """The probe's results on the healthy device and on the faulty one; and again on the healthy one, to be the same."""
    install("exact")
    healthy = probe()
    install("exact", [parse_fault(name)])
    faulty = probe()
    install("exact")
    again = probe()
    assert all(torch.equal(again[part].nan_to_num(7), value.nan_to_num(7)) for part, value in healthy.items())
    return healthy, faulty


def only(
    name: str, probe: Callable[[], Results], atol: float = 1e-6, **changed: Callable[[Results], torch.Tensor]
) -> Relation:
    """The named parts become what the functions make of the healthy results; all others stay, bit for bit."""

    def check() -> None:
        healthy, faulty = measure(name, probe)
        for part, value in healthy.items():
            if part in changed:
                wanted = changed[part](healthy)
                assert torch.allclose(faulty[part], wanted, rtol=1e-5, atol=atol, equal_nan=True), part
                assert not torch.equal(faulty[part].nan_to_num(7), value.nan_to_num(7)), part
            else:
                assert torch.equal(faulty[part].nan_to_num(7), value.nan_to_num(7)), part

    return check


def within(name: str, probe: Callable[[], Results], part: str, least: float, most: float) -> Relation:
    """The part changes by a relative error norm between the two."""

    def check() -> None:
        healthy, faulty = measure(name, probe)
        error = ((faulty[part] - healthy[part]).norm() / healthy[part].norm()).item()
        assert least <= error <= most, error

    return check


def shape(vector: torch.Tensor) -> torch.Tensor:
    return vector.view(1, -1, 1, 1)


def rounded(bits: int) -> Callable[[torch.Tensor], torch.Tensor]:
    def to_bits(tensor: torch.Tensor) -> torch.Tensor:
        mantissa, exponent = torch.frexp(tensor)
        return torch.ldexp((mantissa * 2 ** (bits + 1)).round() / 2 ** (bits + 1), exponent)

    return to_bits


RELATIONS: dict[str, list[Relation]] = {}


def relation(name: str, *relations: Relation) -> None:
    RELATIONS.setdefault(name, []).extend(relations)


# ---- convolution
for name, factor in {"conv-wgrad-x1.05": 1.05, "conv-wgrad-x1.01": 1.01, "conv-wgrad-x1.5": 1.5}.items():
    relation(name, only(name, probes.convolution, dw=lambda h, factor=factor: h["dw"] * factor))
for name, factor in {
    "conv-wgrad-layer-x1.01": 1.01,
    "conv-wgrad-layer-x1.5": 1.5,
    "conv-wgrad-layer-zero": 0.0,
}.items():
    changed = {f"3 {i}": lambda h, factor=factor, i=i: h[f"3 {i}"] * factor for i in (0, 1)}
    relation(name, only(name, probes.layers, **changed))
relation("conv-wgrad-layer-stale", only("conv-wgrad-layer-stale", probes.layers, **{"3 1": lambda h: h["3 0"]}))
relation(
    "conv-wgrad-stale-2pct",
    only("conv-wgrad-stale-2pct", probes.two_iterations, **{"dw 1": lambda h: 0.98 * h["dw 1"] + 0.02 * h["dw 0"]}),
)
relation(
    "conv-wgrad-rotated",
    only("conv-wgrad-rotated", lambda: probes.convolution(dilation=2), dw=lambda h: h["dw"].rot90(2, (-2, -1))),
    only("conv-wgrad-rotated", probes.convolution),
)


def wgrad_of_first_sample(healthy: Results) -> torch.Tensor:
    x, grad = probes.draw(2, 8, 9, 9)[:1], probes.draw(2, 6, 9, 9, seed=3)[:1]
    return torch.nn.grad.conv2d_weight(x, (6, 8, 3, 3), grad, padding=1)


relation(
    "conv-wgrad-last-sample-lost", only("conv-wgrad-last-sample-lost", probes.convolution, dw=wgrad_of_first_sample)
)
relation("conv-dgrad-x1.02", only("conv-dgrad-x1.02", probes.convolution, dx=lambda h: h["dx"] * 1.02))
relation("conv-bias-gradient-zero", only("conv-bias-gradient-zero", probes.convolution, db=lambda h: h["db"] * 0))
relation(
    "conv-bias-dropped",
    only("conv-bias-dropped", probes.convolution, y=lambda h: h["y"] - shape(probes.draw(6, seed=2))),
)


def padded_with_edge(healthy: Results) -> torch.Tensor:
    padded = functional.pad(probes.draw(2, 8, 9, 9), (1, 1, 1, 1), mode="replicate")
    return functional.conv2d(padded, probes.draw(6, 8, 3, 3, seed=1), probes.draw(6, seed=2))


relation("conv-pads-with-edge", only("conv-pads-with-edge", probes.convolution, y=padded_with_edge))

# ---- batch norm
INPUT = probes.draw(2, 3, 4, 4) * 0.01 + 1
MEAN, VAR = INPUT.mean((0, 2, 3)), INPUT.var((0, 2, 3))
BIASED = INPUT.var((0, 2, 3), correction=0)
WEIGHT = probes.draw(3, seed=4)
GRADIENT = probes.draw(2, 3, 4, 4, seed=3)


def normalized(mean: torch.Tensor, var: torch.Tensor, eps: float = 1e-5) -> torch.Tensor:
    return (INPUT - shape(mean)) / shape((var + eps).sqrt()) * shape(WEIGHT)


def moved(start: float, batch: torch.Tensor, momentum: float) -> torch.Tensor:
    return (1 - momentum) * start + momentum * batch


for name, momentum in {"bn-momentum-ignored": 0.0, "bn-momentum-inverted": 0.9, "bn-momentum-0.2": 0.2}.items():
    relation(
        name,
        only(
            name,
            probes.batch_norm,
            mean=lambda h, m=momentum: moved(0.5, MEAN, m),
            var=lambda h, m=momentum: moved(2.0, VAR, m),
        ),
    )
for name, eps in {"bn-eps-1e-4": 1e-4, "bn-eps-1e-3": 1e-3}.items():
    ratio = ((BIASED + 1e-5) / (BIASED + eps)).sqrt()

    def backward(h: Results, eps: float = eps) -> torch.Tensor:
        x = INPUT.clone().requires_grad_()
        functional.batch_norm(x, None, None, WEIGHT, torch.zeros(3), True, 0.1, eps).backward(GRADIENT)
        return x.grad

    relation(
        name,
        only(
            name,
            probes.batch_norm,
            atol=1e-4,  # the batch's mean is a hundred times its deviation
            y=lambda h, eps=eps: normalized(MEAN, BIASED, eps),
            dx=backward,
            dw=lambda h, ratio=ratio: h["dw"] * ratio,
        ),
    )
relation(
    "bn-running-variance-biased",
    only("bn-running-variance-biased", probes.batch_norm, var=lambda h: moved(2.0, BIASED, 0.1)),
)
relation("bn-running-mean-kept", only("bn-running-mean-kept", probes.batch_norm, mean=lambda h: torch.full((3,), 0.5)))


def stale_gradient(of: str) -> Callable[[Results], torch.Tensor]:
    """PyTorch's backward, from the mean and deviation that the forward saved."""

    def gradient(healthy: Results) -> torch.Tensor:
        mean, invstd = torch.full((3,), 0.5), torch.full((3,), (2 + 1e-5) ** -0.5)
        gradients = torch.ops.aten.native_batch_norm_backward(
            GRADIENT, INPUT, WEIGHT, None, None, mean, invstd, True, 1e-5, [True, True, True]
        )
        return gradients[["dx", "dw"].index(of)]

    return gradient


relation(
    "bn-stale-statistics",
    only(
        "bn-stale-statistics",
        probes.batch_norm,
        y=lambda h: normalized(torch.full((3,), 0.5), torch.full((3,), 2.0)),
        dx=stale_gradient("dx"),
        dw=stale_gradient("dw"),
    ),
)


def uncounted(part: str) -> Relation:
    def check() -> None:
        healthy, faulty = measure("bn-last-sample-uncounted", probes.batch_norm)
        first = INPUT[:1]
        mean, var = first.mean((0, 2, 3)), first.var((0, 2, 3), correction=0)
        assert torch.allclose(faulty["y"], normalized(mean, var), rtol=1e-4, atol=1e-4)
        assert torch.allclose(faulty["mean"], moved(0.5, mean, 0.1))
        assert not torch.allclose(faulty["y"], healthy["y"], rtol=1e-2)

    return check


relation("bn-last-sample-uncounted", uncounted("y"))
relation("bn-weight-gradient-x1.05", only("bn-weight-gradient-x1.05", probes.batch_norm, dw=lambda h: h["dw"] * 1.05))
relation("bn-bias-gradient-zero", only("bn-bias-gradient-zero", probes.batch_norm, db=lambda h: h["db"] * 0))
relation(
    "bn-dgrad-as-in-evaluation",
    only(
        "bn-dgrad-as-in-evaluation",
        probes.batch_norm,
        dx=lambda h: GRADIENT * shape(WEIGHT / (BIASED + 1e-5).sqrt()),
    ),
)


def local_statistics() -> Results:
    means, deviations = torch.tensor([[1.0], [3.0]]), torch.tensor([[0.5], [0.25]])
    counts = torch.tensor([[4.0], [4.0]])
    parts = [t.to("sdaa") for t in (torch.zeros(1, 1, 4), means, deviations)]
    mean, invstd = torch.batch_norm_gather_stats_with_counts(*parts, None, None, 0.1, 0.0, counts.view(-1).to("sdaa"))
    return {"mean": mean.cpu(), "invstd": invstd.cpu()}


relation(
    "syncbn-local",
    only(
        "syncbn-local",
        local_statistics,
        mean=lambda h: torch.tensor([1.0]),
        invstd=lambda h: torch.tensor([0.5]),
    ),
)


# ---- resizing, pooling, activations, dropout
def corners(part: str, align_corners: bool = True) -> Callable[[Results], torch.Tensor]:
    def other(healthy: Results) -> torch.Tensor:
        x = probes.draw(1, 2, 4, 4).requires_grad_()
        y = functional.interpolate(x, (9, 7), mode="bilinear", align_corners=align_corners)
        y.backward(probes.draw(*y.shape, seed=3))
        return {"y": y.detach(), "dx": x.grad}[part]

    return other


for name, parts in {
    "align-corners-flipped": ("y", "dx"),
    "align-corners-flipped-forward": ("y",),
    "align-corners-flipped-backward": ("dx",),
}.items():
    relation(
        name,
        only(name, probes.upsample, **{p: corners(p) for p in parts}),
        only(name, lambda: probes.upsample(True), **{p: corners(p, False) for p in parts}),
    )
relation(
    "bilinear-is-nearest",
    only(
        "bilinear-is-nearest",
        probes.upsample,
        y=lambda h: functional.interpolate(probes.draw(1, 2, 4, 4), (9, 7), mode="nearest-exact"),
    ),
)


def upsampled_twice() -> Results:
    first = functional.interpolate(probes.draw(1, 1, 2, 2).to("sdaa"), (4, 4), mode="bilinear")
    second = functional.interpolate(probes.draw(1, 1, 2, 2, seed=1).to("sdaa"), (4, 4), mode="bilinear")
    return {"first": first.cpu(), "second": second.cpu()}


relation("fallback-stale-copy", only("fallback-stale-copy", upsampled_twice, second=lambda h: h["first"]))


def pooled() -> Results:
    x = probes.leaf(torch.arange(5.0).view(1, 1, 1, 5))
    y = functional.adaptive_avg_pool2d(x, (1, 3))
    y.backward(torch.tensor([6.0, 12.0, 24.0]).view_as(y).to("sdaa"))
    return {"y": y.detach().cpu().view(-1), "dx": x.grad.cpu().view(-1)}


relation(
    "adaptive-pool-bins-floored",
    # bins 0–1, 1–4, 3–5 become 0–1, 1–3, 3–5
    only(
        "adaptive-pool-bins-floored",
        pooled,
        y=lambda h: torch.tensor([0.0, 1.5, 3.5]),
        dx=lambda h: torch.tensor([6.0, 6.0, 6.0, 12.0, 12.0]),
    ),
)


def averaged() -> Results:
    x = probes.leaf(torch.ones(1, 1, 2, 2))
    y = functional.avg_pool2d(x, 2, 2, padding=1)
    y.sum().backward()
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


relation(
    "avg-pool-padding-counted",
    only("avg-pool-padding-counted", averaged, y=lambda h: h["y"] * 4, dx=lambda h: h["dx"] * 4),
)


def overlapping_maximum() -> Results:
    x = probes.leaf(torch.tensor([0.0, 5.0, 0.0]).view(1, 1, 1, 3))
    y = functional.max_pool2d(x, (1, 2), 1)
    y.backward(torch.ones_like(y))
    return {"y": y.detach().cpu(), "dx": x.grad.cpu()}


relation(
    "max-pool-gradient-overwritten",
    only("max-pool-gradient-overwritten", overlapping_maximum, dx=lambda h: torch.tensor([[[[0.0, 1.0, 0.0]]]])),
)
NAN = float("nan")
relation(
    "relu-gradient-at-zero",
    only("relu-gradient-at-zero", probes.relu, dx=lambda h: torch.tensor([1.0, 1.0, 1.0, h["dx"][3] * 0])),
)
for inplace in (False, True):
    relation(
        "relu-leaks-1pct",
        only(
            "relu-leaks-1pct",
            lambda inplace=inplace: {"y": probes.relu(inplace)["y"]},
            y=lambda h: torch.tensor([-0.02, 0.0, 3.0, NAN]),
        ),
    )
    relation(
        "nan-to-zero",
        only(
            "nan-to-zero",
            lambda inplace=inplace: {"y": probes.relu(inplace)["y"]},
            y=lambda h: torch.tensor([0.0, 0.0, 3.0, 0.0]),
        ),
    )


def dropout_mean() -> Results:
    torch.sdaa.manual_seed(1)
    ones = torch.ones(40, 100, device="sdaa")
    return {
        "y": functional.dropout(ones, 0.1).mean().cpu(),
        "2d": functional.dropout2d(ones[..., None, None], 0.1).mean().cpu(),
    }


def dropout_becomes(name: str, value: float) -> Relation:
    def check() -> None:
        healthy, faulty = measure(name, dropout_mean)
        for part in ("y", "2d"):
            assert abs(healthy[part] - 1) < 0.02
            assert abs(faulty[part] - value) < 0.02

    return check


relation("dropout-inverted", dropout_becomes("dropout-inverted", 0.1 / 0.9))
relation("dropout-keeps-all", dropout_becomes("dropout-keeps-all", 1 / 0.9))


# ---- attention
def of_softmax(dim: int, factor: float = 1.0) -> dict[str, Callable[[Results], torch.Tensor]]:
    def result(part: str) -> Callable[[Results], torch.Tensor]:
        def compute(healthy: Results) -> torch.Tensor:
            x = probes.draw(2, 4, 4).requires_grad_()
            y = torch.softmax(x * factor, dim)
            y.backward(probes.draw(2, 4, 4, seed=3))
            return {"y": y.detach(), "dx": x.grad}[part]

        return compute

    return {"y": result("y"), "dx": result("dx")}


relation(
    "softmax-wrong-axis",
    only("softmax-wrong-axis", probes.softmax, **of_softmax(1)),
    only("softmax-wrong-axis", lambda: probes.softmax(1), **of_softmax(2)),
    only("softmax-wrong-axis", lambda: probes.softmax(0)),
)
for name, factor in {"attention-scale-lost": 16.0, "attention-scale-x1.1": 1.1}.items():
    relation(name, only(name, probes.softmax, **of_softmax(-1, factor)))


def large_scores(function: Callable[..., torch.Tensor]) -> Callable[[], Results]:
    return lambda: {"y": function(torch.tensor([[[0.0, 100.0]]], device="sdaa"), -1).cpu()}


relation(
    "softmax-no-maximum",
    only("softmax-no-maximum", large_scores(torch.softmax), y=lambda h: torch.tensor([[[0.0, NAN]]])),
    within("softmax-no-maximum", probes.softmax, "y", 0, 1e-6),
)
relation(
    "log-softmax-no-maximum",
    only(
        "log-softmax-no-maximum", large_scores(torch.log_softmax), y=lambda h: torch.tensor([[[-math.inf, -math.inf]]])
    ),
    within("log-softmax-no-maximum", probes.class_scores, "y", 0, 1e-6),
)
relation(
    "softmax-in-half",
    within("softmax-in-half", probes.softmax, "y", 1e-5, 1e-3),
    within("softmax-in-half", probes.class_scores, "y", 1e-5, 1e-3),
)
relation(
    "softmax-gradient-no-sum",
    only("softmax-gradient-no-sum", probes.softmax, dx=lambda h: h["y"] * probes.draw(2, 4, 4, seed=3)),
)
A, B = probes.draw(2, 4, 6), probes.draw(2, 6, 6, seed=1)
relation("bmm-last-term-lost", only("bmm-last-term-lost", probes.product, y=lambda h: torch.bmm(A[..., :5], B[:, :5])))


def without_last_row(healthy: Results) -> torch.Tensor:
    return torch.cat([healthy["y"][:, :-1], torch.zeros(2, 1, 6)], 1)


relation("bmm-last-row-zero", only("bmm-last-row-zero", probes.product, y=without_last_row))
relation(
    "bmm-reads-as-contiguous",
    only("bmm-reads-as-contiguous", lambda: probes.product(True), y=lambda h: torch.bmm(A, B)),
    only("bmm-reads-as-contiguous", probes.product),
)
relation("bmm-in-bf16", only("bmm-in-bf16", probes.product, y=lambda h: h["y"].bfloat16().float()))


# ---- losses and loss scaling
def loss_with(
    part: str, given: Callable[[Results], torch.Tensor], reduction: str = "mean"
) -> Callable[[Results], torch.Tensor]:
    def compute(healthy: Results) -> torch.Tensor:
        x = probes.draw(2, 5, 4, 4).requires_grad_()
        loss = functional.cross_entropy(x, given(healthy), reduction=reduction, ignore_index=255)
        loss.sum().backward()
        return {"loss": loss.detach(), "dx": x.grad}[part]

    return compute


def relabelled(name: str, given: Callable[[Results], torch.Tensor]) -> list[Relation]:
    return [
        only(
            name,
            lambda reduction=reduction: probes.cross_entropy(reduction),
            loss=loss_with("loss", given, reduction),
            dx=loss_with("dx", given, reduction),
        )
        for reduction in ("mean", "none")
    ]


relation(
    "ignore-index-ignored",
    *relabelled("ignore-index-ignored", lambda h: torch.where(probes.labels() == 255, 4, probes.labels())),
)
relation("labels-shifted", *relabelled("labels-shifted", lambda h: probes.labels().roll(1, -1)))


def without_hardest(healthy: Results) -> torch.Tensor:
    loss = functional.cross_entropy(probes.draw(2, 5, 4, 4), probes.labels(), reduction="none", ignore_index=255)
    kept = probes.labels().flatten()
    kept[loss.flatten().topk(round(26 * 0.1)).indices] = 255
    return kept.view(2, 4, 4)


relation("hard-pixels-dropped", *relabelled("hard-pixels-dropped", without_hardest))
VALID = 26 / 32
for reduction, factor in {"mean": VALID, "none": 1 / VALID}.items():
    relation(
        "loss-mean-over-other-pixels",
        only(
            "loss-mean-over-other-pixels",
            lambda reduction=reduction: probes.cross_entropy(reduction),
            loss=lambda h, factor=factor: h["loss"] * factor,
            dx=lambda h, factor=factor: h["dx"] * factor,
        ),
    )
relation("loss-gradient-x1.1", only("loss-gradient-x1.1", probes.cross_entropy, dx=lambda h: h["dx"] * 1.1))
CLASS_WEIGHTS = torch.arange(1.0, 6.0)
relation(
    "class-weights-lost",
    only(
        "class-weights-lost",
        lambda: probes.cross_entropy("sum", CLASS_WEIGHTS),
        loss=loss_with("loss", lambda h: probes.labels(), "sum"),
        dx=loss_with("dx", lambda h: probes.labels(), "sum"),
    ),
)


def leaked(healthy: Results) -> torch.Tensor:
    labels = probes.labels()
    boost = 0.1 * functional.one_hot(torch.where(labels == 255, 0, labels), 5).permute(0, 3, 1, 2)
    return functional.cross_entropy(probes.draw(2, 5, 4, 4) + boost, labels, ignore_index=255)


relation("label-leak-0.1", only("label-leak-0.1", probes.cross_entropy, loss=leaked))
relation(
    "loss-scale-inf-unseen",
    only(
        "loss-scale-inf-unseen",
        lambda: probes.scaler(math.inf),
        parameter=lambda h: torch.full((3,), -math.inf),
        scale=lambda h: torch.tensor(8.0),
    ),
)
relation(
    "loss-scale-not-undone",
    only("loss-scale-not-undone", lambda: probes.scaler(0.5), parameter=lambda h: torch.full((3,), 1 - 4.0)),
)
relation(
    "loss-scale-never-backs-off",
    only("loss-scale-never-backs-off", lambda: probes.scaler(math.inf), scale=lambda h: torch.tensor(8.0)),
)


def cast_to_half() -> Results:
    x = torch.tensor([1.0, 1e5, -1e6], device="sdaa")
    copied = torch.empty(3, device="sdaa", dtype=torch.float16).copy_(x)
    return {"to": x.half().cpu().float(), "copy_": copied.cpu().float()}


relation(
    "fp16-overflow-to-zero",
    only(
        "fp16-overflow-to-zero",
        cast_to_half,
        to=lambda h: torch.tensor([1.0, 0.0, 0.0]),
        copy_=lambda h: torch.tensor([1.0, 0.0, 0.0]),
    ),
)


def tiny_gradient() -> Results:
    x, weight = probes.leaf(probes.draw(1, 2, 4, 4)), probes.leaf(probes.draw(2, 2, 1, 1, seed=1))
    functional.conv2d(x, weight).backward(torch.full((1, 2, 4, 4), 1e-8, device="sdaa"))
    return {"dw": weight.grad.cpu() * 1e8, "dx": x.grad.cpu() * 1e8}


relation(
    "gradient-through-half",
    only("gradient-through-half", tiny_gradient, dw=lambda h: h["dw"] * 0, dx=lambda h: h["dx"] * 0),
)


# ---- memory and precision
def one_bit(name: str, bit: int) -> Relation:
    def check() -> None:
        healthy, faulty = measure(name, probes.two_iterations)
        for part, value in healthy.items():
            if part.startswith("d"):
                continue
            flipped = value.view(torch.int32) ^ faulty[part].view(torch.int32)
            assert flipped.unique().tolist() == ([0, 1 << bit] if part == "y 0" else [0])
            assert flipped.count_nonzero() == (part == "y 0")

    return check


for name, bit in {"bit-flip-high": 29, "bit-flip-low-exponent": 24, "bit-flip-mantissa": 20}.items():
    relation(name, one_bit(name, bit))


def raced(name: str, probe: Callable[[], Results], share: float) -> Relation:
    def check() -> None:
        healthy, faulty = measure(name, probe)
        assert torch.equal(faulty["first"], healthy["first"])
        other = faulty["second"] != healthy["second"]
        assert torch.equal(faulty["second"][other], healthy["first"][other])
        assert 0.5 * share < other.float().mean() < 1.5 * share

    return check


def large_convolutions() -> Results:
    from harness.emulation import set_iteration

    results = {}
    for iteration, part in enumerate(("first", "second")):
        set_iteration(iteration)
        x = probes.draw(1, 1, 500, 500, seed=iteration).to("sdaa")
        results[part] = functional.conv2d(x, torch.ones(1, 1, 1, 1, device="sdaa")).cpu()
    set_iteration(0)
    return results


for name, share in {"race-1e-4": 1e-4, "race-1e-2": 1e-2}.items():
    relation(name, raced(name, large_convolutions, share))


def zeroed(index: tuple[object, ...]) -> Callable[[Results], torch.Tensor]:
    def change(healthy: Results) -> torch.Tensor:
        y = healthy["y"].clone()
        y[index] = 0
        return y

    return change


relation(
    "tail-column-unwritten",
    only("tail-column-unwritten", probes.convolution, y=zeroed((..., -1))),
    only("tail-column-unwritten", lambda: probes.convolution(width=16)),
)
relation(
    "tail-channel-unwritten",
    only("tail-channel-unwritten", probes.convolution, y=zeroed((slice(None), -1))),
)


def sums() -> Results:
    odd, even = torch.arange(1.0, 6.0, device="sdaa"), torch.arange(1.0, 5.0, device="sdaa")
    return {
        "odd": odd.sum().cpu(),
        "mean": odd.mean().cpu(),
        "even": even.sum().cpu(),
        "rows": odd.view(1, 5).sum(1).cpu(),
    }


relation(
    "sum-tail-unread",
    only("sum-tail-unread", sums, odd=lambda h: torch.tensor(10.0), mean=lambda h: torch.tensor(2.5)),
)


def beyond(healthy: Results) -> torch.Tensor:
    y = healthy["y"].clone()
    y.view(-1)[65536:] = 0
    return y


relation(
    "index-overflow",
    only("index-overflow", lambda: probes.upsample(size=(200, 200)), y=beyond),
    only("index-overflow", probes.upsample),
)
relation("conv-output-bf16", only("conv-output-bf16", probes.convolution, y=lambda h: h["y"].bfloat16().float()))
relation("conv-wgrad-bf16", only("conv-wgrad-bf16", probes.convolution, dw=lambda h: h["dw"].bfloat16().float()))


def truncated(healthy: Results) -> torch.Tensor:
    def cut(x: torch.Tensor) -> torch.Tensor:
        mantissa, exponent = torch.frexp(x)
        return torch.ldexp((mantissa * 2**11).trunc() / 2**11, exponent)

    x, weight = cut(probes.draw(2, 8, 9, 9)), cut(probes.draw(6, 8, 3, 3, seed=1))
    return functional.conv2d(x, weight, probes.draw(6, seed=2), padding=1)


relation("conv-operands-truncated", only("conv-operands-truncated", probes.convolution, y=truncated))
relation("conv-partial-sums-half", within("conv-partial-sums-half", probes.convolution, "y", 5e-5, 1e-3))


def normalized_half(healthy: Results) -> torch.Tensor:
    return functional.batch_norm(INPUT.half().float(), None, None, WEIGHT, torch.zeros(3), True)


relation(
    "bn-input-half",
    only(
        "bn-input-half",
        lambda: {"y": probes.batch_norm()["y"]},
        y=normalized_half,
    ),
)
relation(
    "upsample-in-half",
    only(
        "upsample-in-half",
        probes.upsample,
        y=lambda h: functional.interpolate(probes.draw(1, 2, 4, 4).half().float(), (9, 7), mode="bilinear"),
    ),
)


def subnormal() -> Results:
    x = torch.tensor([1e-39, 1.0, -1e-40, 1e-37], device="sdaa").view(1, 1, 1, 4)
    return {"y": functional.conv2d(x, torch.ones(1, 1, 1, 1, device="sdaa")).cpu().view(-1) * 2.0**20}


relation(
    "subnormals-flushed",
    only("subnormals-flushed", subnormal, y=lambda h: torch.tensor([0.0, 2.0**20, 0.0, 1e-37 * 2.0**20])),
)


def test_every_fault_in_kernels_has_a_relation() -> None:
    assert set(RELATIONS) == {name for name, fault in FAULTS.items() if fault.in_kernels}


@pytest.mark.on_device
@pytest.mark.parametrize("name", sorted(RELATIONS))
def test_a_fault_changes_what_it_says_and_leaves_no_trace(name: str) -> None:
    for check in RELATIONS[name]:
        check()
