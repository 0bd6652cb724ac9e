"""Results as judging leaves them: one of each verdict, emulated and real, whole and broken."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import cache
from html.parser import HTMLParser

import numpy as np
import pytest

from harness.values.baseline import Baseline
from harness.values.provenance import Device, Provenance
from harness.values.reproduction import Reproduction
from harness.values.result import Result
from harness.values.shadow import Coverage, EffectivePrecision, Part, ShadowEvidence, ShadowRow
from harness.values.trace import StateTable, Trace
from harness.values.verdict import Agreement, Envelope, Finding, LegacyResult, Outcome, Status, Verdict

ITERATIONS = 30
COMPONENTS = ("decode.loss_ce", "aux.loss_ce")
BUILD = {
    "PyTorch": "2.7.1",
    "Torch-SDAA": "3.2.0",
    "SDAA Driver": "3.2.0",
    "SDAA Runtime": "3.2.0",
    "TecoDNN": "3.2.0",
    "TecoBLAS": "3.2.0",
    "CustomDNN": "3.2.1a0",
    "TCCL": "3.2.0",
}


def base_loss(iterations: int) -> np.ndarray:
    """A loss that falls and wobbles as a small net's does."""
    at = np.arange(iterations)
    wobble = np.random.default_rng(7).normal(0, 0.06, iterations)
    return 1.2 + 2.5 * np.exp(-at / 14) + wobble * np.minimum(1, at / 5)


def trace_of(deviation: np.ndarray, *, planned: int = ITERATIONS, complete: bool = True) -> Trace:
    """A trace whose signals are the reference's times 1 + deviation."""
    count = len(deviation)
    loss = base_loss(planned)[:count] * (1 + deviation)
    signals = {
        "loss": loss,
        "decode.loss_ce": loss * 0.72,
        "aux.loss_ce": loss * 0.28,
        "decode.acc_seg": 60 - 10 * loss,
        "lr": np.full(count, 1e-3),
        "grad_norm": 4.1 * loss**0.5,
        "update_norm": 0.004 * loss,
        "param_norm": 210 + 0.01 * loss,
        "bn_mean_norm": 3.0 + 0.1 * loss,
        "bn_var_norm": 5.0 + 0.1 * loss,
        "seconds": np.full(count, 0.41),
    }
    state = StateTable(np.array([0], np.int64), ("param/stem.weight",), np.array([[3.25]]))
    batches = tuple(f"{i:08x}" for i in range(count))
    return Trace(np.arange(count), signals, planned, complete, batches, state)


def provenance(device: Device, **changes: object) -> Provenance:
    """Where a run of ann_small comes from."""
    plain = Provenance(
        case="ann_small",
        settings={
            "model.backbone.type": "ResNetV1c",
            "model.backbone.depth": "50",
            "optim_wrapper.optimizer.lr": "0.001",
            "optim_wrapper.optimizer.momentum": "0.9",
            "train_dataloader.batch_size": "2",
        },
        weights="sha256:7d1f0c22a9b1d4c85f0e6a0b1f2c3d4e",
        seed=0,
        precision="fp32",
        world_size=1,
        global_batch=2,
        iterations=ITERATIONS,
        device=device,
        versions={"python": "3.11.11", "torch": "2.13.0", "mmengine": "0.10.7", "mmcv": "2.1.0", "numpy": "2.4.1"},
        environment={"OMP_NUM_THREADS": "2"},
        host={"machine": "x86_64", "threads": "2"},
        commit="4e36aa11d10f278eee1a11fa330d3446e0674974",
        command="align verify ann_small --device emulated",
        started="2026-11-21T00:41:07Z",
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


CPU = Device("cpu", "x86_64, AVX2")
EMULATED = Device("sdaa", "TECO_AICARD_01 (emulated)", emulated=True, profile="tf32", build={"profile": "tf32"})
REAL = Device("sdaa", "TECO_AICARD_01", build=BUILD)


@cache
def baseline() -> Baseline:
    """Eight healthy runs for each of two tiers."""
    draw = np.random.default_rng(1)
    growth = 1e-7 * 1.35 ** np.arange(ITERATIONS)
    tiers = {
        tier: tuple(trace_of(draw.normal(0, 1, ITERATIONS) * growth * scale) for _ in range(8))
        for tier, scale in (("fp32", 1.0), ("tf32", 12.0))
    }
    origin = provenance(CPU, command="align record ann_small --device cpu --repeats 8")
    return Baseline("ann_small", "cpu", tiers, origin, None, "first recording", "2026-11-20T22:10:44Z")


def envelope(signal: str, trace: Trace, tier: str = "tf32") -> Envelope:
    """What the envelope rule would draw for a signal: center and bound of the tier's runs."""
    runs = np.array([run.signals[signal] for run in baseline().tiers[tier]])[:, : len(trace)]
    center = np.exp(np.log(runs).mean(axis=0))
    spread = np.sqrt((np.log(runs / center) ** 2).mean(axis=0))
    spread = np.maximum(np.convolve(np.pad(spread, 2, "edge"), np.ones(5) / 5, "valid"), 3e-7)
    with np.errstate(all="ignore"):
        deviation = trace.signals[signal] / center - 1
    return Envelope(signal, tier, trace.iterations, center, 9 * spread, trace.signals[signal], deviation)


def agreements(device: Device = EMULATED, **changed: str) -> tuple[Agreement, ...]:
    """The comparability table, with some of the candidate's values changed."""
    rows = {
        "case": "ann_small",
        "initial weights": "sha256:7d1f0c22a9b1d4c85f0e6a0b1f2c3d4e",
        "seed": "0",
        "batches": "30 of 30 equal",
        "global batch": "2",
        "precision": "fp32",
        "iterations": "30",
        "optim_wrapper.optimizer.lr": "0.001",
    }
    required = tuple(
        Agreement(what, value, changed.get(what, value), True, changed.get(what, value) == value)
        for what, value in rows.items()
    )
    return (*required, Agreement("device", "cpu", device.label, False, device.label == "cpu"))


def legacy(error: float, verdict: str) -> LegacyResult:
    """The seeds' four lines."""
    lines = (
        f"MeanRelativeError: {error!r}",
        f"MeanAbsoluteError: {2 * error!r}",
        f"Rule,mean_relative_error {error!r}",
        f"{verdict} mean_relative_error={error!r} <= 0.05 or mean_absolute_error={2 * error!r} <= 0.0002",
    )
    return LegacyResult(error, 2 * error, verdict, lines)


def judged(trace: Trace) -> tuple[dict[str, Envelope], tuple[Finding, ...]]:
    """Envelopes and findings of a trace, by the bound alone."""
    envelopes = {name: envelope(name, trace) for name in ("loss", *COMPONENTS, "grad_norm")}
    return envelopes, tuple(_finding(each) for each in envelopes.values())


def _finding(drawn: Envelope) -> Finding:
    over = np.flatnonzero(~(np.abs(drawn.deviation) <= drawn.allowed))
    at = int(over[0]) if len(over) else int(np.argmax(np.abs(drawn.deviation) / drawn.allowed))
    observed, allowed = float(drawn.deviation[at]), float(drawn.allowed[at])
    message = f"{drawn.signal} is {100 * observed:+.3g} % off the reference at iteration {at}"
    message += (
        f", where healthy runs stay within {100 * allowed:.3g} %" if len(over) else " at its closest to the bound"
    )
    status = Outcome.FAIL if len(over) else Outcome.PASS
    return Finding(
        "envelope", status, drawn.signal, message, at, observed, allowed, float(drawn.allowed.min()), drawn.tier
    )


def passing(device: Device = EMULATED) -> Result:
    """A healthy port at tf32."""
    draw = np.random.default_rng(5).normal(0, 1, ITERATIONS)
    trace = trace_of(draw * 1.2e-6 * 1.35 ** np.arange(ITERATIONS))
    envelopes, findings = judged(trace)
    state = Finding(
        "state",
        Outcome.PASS,
        "mean/backbone.stem.1",
        "the running mean stays among healthy runs",
        29,
        1.1e-5,
        9e-5,
        2e-6,
        "tf32",
    )
    verdict = Verdict(
        "ann_small",
        Status.PASS,
        "every signal of 30 iterations stays among the healthy runs of tf32 arithmetic",
        (*findings, state),
        agreements(device),
        legacy(-0.00021, "pass"),
        "tf32",
        "tf32",
        envelopes,
    )
    return Result(verdict, trace, provenance(device), baseline(), "align verify ann_small --device emulated", 37.4)


def failing_by_envelope() -> Result:
    """A weight gradient 5 % too large: the loss leaves its envelope."""
    growth = np.where(np.arange(ITERATIONS) < 3, 0, 4e-4 * 1.17 ** np.arange(ITERATIONS))
    trace = trace_of(growth + np.random.default_rng(5).normal(0, 1, ITERATIONS) * 1e-6)
    envelopes, findings = judged(trace)
    violations = [finding for finding in findings if finding.status is Outcome.FAIL]
    verdict = Verdict(
        "ann_small",
        Status.FAIL,
        f"envelope: {violations[0].message}",
        findings,
        agreements(),
        legacy(0.0121, "pass"),
        "",
        "tf32",
        envelopes,
    )
    device = replace(EMULATED, fault="conv-wgrad-x1.05")
    command = "align verify ann_small --device emulated --fault conv-wgrad-x1.05"
    return Result(verdict, trace, provenance(device, command=command), baseline(), command, 41.9)


def failing_by_buffers(tensors: int = 106) -> Result:
    """BatchNorm's momentum ignored: the loss sees nothing, hundreds of buffers do."""
    whole = passing(REAL)
    found = tuple(
        Finding(
            "state",
            Outcome.FAIL,
            f"{kind}/backbone.layer{1 + i % 4}.{i // 4}.bn{1 + i % 3}",
            f"the norm of the running {'mean' if kind == 'mean' else 'variance'} is {0.30 + i * 1e-3:.1%} off",
            0,
            (-1) ** i * (0.30 + i * 1e-3),
            3.1e-6,
            3.1e-6,
            "tf32",
        )
        for i, kind in ((i, kind) for i in range(tensors // 2) for kind in ("mean", "var"))
    )
    verdict = replace(
        whole.verdict,
        status=Status.FAIL,
        reason="state: mean/backbone.layer1.0.bn1 is 30 % off the reference at iteration 0",
        findings=(*found, *whole.verdict.findings),
        aligned_tier="",
    )
    return replace(whole, verdict=verdict, command="align verify ann_small --device sdaa")


def inconclusive() -> Result:
    """Another learning rate and other weights: another experiment."""
    trace = trace_of(0.05 * np.sin(np.arange(ITERATIONS)))
    verdict = Verdict(
        "ann_small",
        Status.INCONCLUSIVE,
        "not comparable: optim_wrapper.optimizer.lr is 0.001 on the reference and 0.002 on the candidate",
        (Finding("comparability", Outcome.INCONCLUSIVE, "optim_wrapper.optimizer.lr", "the learning rates differ"),),
        agreements(CPU, **{"optim_wrapper.optimizer.lr": "0.002", "batches": "0 of 30 equal"}),
        legacy(0.011, "pass"),
        "",
        "tf32",
    )
    settings = {**provenance(CPU).settings, "optim_wrapper.optimizer.lr": "0.002"}
    return Result(
        verdict, trace, provenance(CPU, settings=settings), baseline(), "align verify ann_small --device cpu", 33.0
    )


def crashed() -> Result:
    """A run that ended before it said anything."""
    output = 'Traceback (most recent call last):\n  File "run.py", line 3\nRuntimeError: SDAA error: out of memory\n'
    reason = "the run crashed before its first iteration (exit status 1)"
    verdict = Verdict("ann_small", Status.ERROR, reason, demanded_tier="tf32")
    return Result(verdict, command="align verify ann_small --device sdaa", seconds=2.7, output=output)


def cut_short() -> Result:
    """Killed by the watchdog after eleven iterations."""
    draw = np.random.default_rng(5).normal(0, 1, 11)
    trace = trace_of(draw * 1e-6, complete=False)
    envelopes, findings = judged(trace)
    verdict = Verdict(
        "ann_small",
        Status.ERROR,
        "the run was cut short after 11 of 30 iterations: no progress for 120 s",
        findings,
        agreements(),
        None,
        "",
        "tf32",
        envelopes,
    )
    return Result(
        verdict, trace, provenance(EMULATED), baseline(), "align verify ann_small", 154.2, "iteration 10 loss 2.31\n"
    )


def not_finite() -> Result:
    """A loss that becomes NaN at iteration 12 and infinite once before."""
    deviation = np.full(ITERATIONS, 1e-6)
    deviation[8:] = 3e-3
    trace = trace_of(deviation)
    for values in trace.signals.values():
        values[10], values[12:] = np.inf, np.nan
    envelopes, findings = judged(trace)
    message = "loss is inf at iteration 10 (19 of 30 not finite)"
    broken = Finding("finiteness", Outcome.FAIL, "loss", message, 10, float("inf"))
    verdict = Verdict(
        "ann_small",
        Status.FAIL,
        f"finiteness: {message}",
        (broken, *findings),
        agreements(),
        legacy(float("nan"), "fail"),
        "",
        "tf32",
        envelopes,
    )
    return Result(verdict, trace, provenance(EMULATED), baseline(), "align verify ann_small", 40.0)


def evidence(wrong: str = "", *, blocks: int = 3) -> ShadowEvidence:
    """What shadow ops say of a small net of four stages; the weight gradient of one module is 1 % too large."""
    convolutions = [f"backbone.layer{stage}.{block}.conv1" for stage in range(1, 5) for block in range(blocks)]
    rows = [ShadowRow(0, Part.TRANSFER, "data_preprocessor", "feed", "images", 0.0, 1e-7, 0.0, 1e-7, 2)]
    for at, module in enumerate(convolutions):
        rows.append(ShadowRow(1, Part.FORWARD, module, "convolution", "output", 3e-4 + 1e-6 * at, 3e-3, 2e-6, 4e-5, 2))
        error, gain = (0.01, 0.01) if module == wrong else (4e-4, -3e-6)
        back = ("convolution_backward", "weight gradient", error, 3e-3, gain, 1e-4, 2)
        rows.append(ShadowRow(0, Part.BACKWARD, module, *back))
    rows.append(ShadowRow(0, Part.LOSS, "", "sum", "total", 0.0, 1e-7, 0.0, 1e-7, 2))
    precisions = (
        EffectivePrecision("convolution backward", 9.96, 10, 24),
        EffectivePrecision("convolution forward", 10.02, 10, 24),
        EffectivePrecision("native_batch_norm", 22.8, 23, 24),
    )
    coverage = Coverage(
        calls={"convolution": 24, "convolution_backward": 24, "roi_align": 2},
        checked={"convolution": 24, "convolution_backward": 24},
        skipped={"roi_align": "the host has no such operation"},
        fallen_back=("roi_align",),
    )
    return ShadowEvidence((0, 1), "tf32", tuple(rows), precisions, coverage)


def shadowed() -> Result:
    """A healthy port whose operations were looked at too."""
    whole = passing()
    return replace(whole, verdict=replace(whole.verdict, shadow=evidence()))


def failing_by_shadow() -> Result:
    """A weight gradient of one module 1 % too large: no trace sees it."""
    whole = passing()
    found = evidence("backbone.layer3.0.conv1")
    said = (
        "backbone.layer3.0.conv1, convolution_backward, weight gradient: 1 % too large (allowed 0.01 %) at iteration "
        "0, from the same inputs"
    )
    signal = "backbone.layer3.0.conv1.convolution_backward.weight_gradient"
    finding = Finding("shadow", Outcome.FAIL, signal, said, 0, 0.01, 1e-4, tier="tf32")
    verdict = replace(
        whole.verdict,
        status=Status.FAIL,
        reason=f"shadow: {said}",
        findings=(finding, *whole.verdict.findings),
        aligned_tier="",
        shadow=found,
    )
    call = ("backward", "backbone.layer3.0.conv1", "convolution_backward", "weight gradient")
    again = Reproduction(1, 0, *call, note="Its inputs are cut to the first 1 of 2 samples.", program="x", inputs=b"y")
    return replace(whole, verdict=verdict, reproductions=(again,))


SAMPLES: dict[str, Callable[[], Result]] = {
    "passing": cache(passing),
    "failing_by_envelope": cache(failing_by_envelope),
    "failing_by_buffers": cache(failing_by_buffers),
    "inconclusive": cache(inconclusive),
    "crashed": cache(crashed),
    "cut_short": cache(cut_short),
    "not_finite": cache(not_finite),
    "shadowed": cache(shadowed),
    "failing_by_shadow": cache(failing_by_shadow),
}


@pytest.fixture(params=SAMPLES, ids=str)
def any_result(request: pytest.FixtureRequest) -> Result:
    """Each of the samples."""
    return SAMPLES[request.param]()


@pytest.fixture
def samples() -> dict[str, Callable[[], Result]]:
    """All of them, by name."""
    return SAMPLES


class Page(HTMLParser):
    """A page as a browser's parser sees it: its elements in order, and the text that each path of elements holds."""

    VOID = frozenset({"meta", "link", "br", "input", "path", "circle", "use"})

    def __init__(self, source: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.texts: dict[str, str] = {}
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag in self.VOID:
            return
        assert self.open, f"</{tag}> closes nothing"
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        for tag in self.open:
            self.texts[tag] = self.texts.get(tag, "") + data

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of each element of a kind."""
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.fixture
def parse() -> Callable[[str], Page]:
    """Parse a page."""
    return Page
