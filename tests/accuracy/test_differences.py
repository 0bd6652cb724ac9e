"""Paired differences, moved classes and the verdict on the same weights."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.accuracy.answer_comparison import NO_MARGIN, AnswerComparison, compare_answers
from harness.accuracy.image_counts import count_image
from harness.accuracy.label_table import LabelTable
from harness.accuracy.moved_classes import moved_classes
from harness.accuracy.paired_difference import clusters_of, paired_difference
from harness.accuracy.same_weights import Side, judge_same_weights
from harness.accuracy.scores import score_images
from harness.values.errors import DataError
from harness.values.verdict import Outcome, Status

NAMES = ("road", "car", "sky")
TABLE = LabelTable.plain("made up", NAMES, [(0, 0, 0)] * 3)


def scene(rng, noise, cities=("a", "b", "c", "d", "e"), images=20):
    """Labels, and answers that are wrong at a share of the pixels."""
    found = []
    for number in range(images):
        labels = rng.integers(0, 3, (12, 16)).astype(np.uint8)
        wrong = rng.random(labels.shape) < noise
        answers = np.where(wrong, rng.integers(0, 3, labels.shape), labels).astype(np.uint8)
        found.append((f"{cities[number % len(cities)]}/{number}", labels, answers))
    return found


def counts(images):
    return [count_image(name, answers, labels, TABLE) for name, labels, answers in images]


@given(st.integers(0, 10_000))
def test_equal_sides_differ_by_nothing_and_an_exchange_turns_the_sign(seed):
    rng = np.random.default_rng(seed)
    one = scene(rng, 0.2)
    other = [(name, labels, np.where(rng.random(labels.shape) < 0.1, 0, answers)) for name, labels, answers in one]
    same = paired_difference(counts(one), counts(one)[::-1], TABLE)
    assert (same.difference, same.low, same.high) == (0, 0, 0)
    there, back = (
        paired_difference(counts(one), counts(other), TABLE),
        paired_difference(counts(other), counts(one), TABLE),
    )
    assert there.difference == pytest.approx(-back.difference)
    assert (there.low, there.high) == pytest.approx((-back.high, -back.low))
    plain = 100 * (score_images(counts(other), TABLE).mean_iou - score_images(counts(one), TABLE).mean_iou)
    assert there.difference == pytest.approx(plain)


def test_clusters_are_cities_where_there_are_several():
    images = [image.image for image in counts(scene(np.random.default_rng(0), 0.1))]
    assert len(set(clusters_of(images))) == 5
    assert len(set(clusters_of(images, by_image=True))) == 20
    assert len(set(clusters_of([image for image in images if image.startswith("a/")]))) == 4


def test_other_images_are_refused():
    images = counts(scene(np.random.default_rng(0), 0.1))
    with pytest.raises(DataError, match="didn't answer the same images"):
        paired_difference(images, images[:-1], TABLE)


def test_the_interval_covers_as_often_as_it_says():
    """Two sides with the same rate of error: 95 % intervals hold 0, within 3 σ of 300 sets."""
    rng = np.random.default_rng(3)
    held = 0
    for _ in range(300):
        truth = scene(rng, 0.0, cities=tuple("abcdefghij"), images=20)
        sides = []
        for _side in range(2):
            shares = dict(zip("abcdefghij", rng.uniform(0.0, 0.3, 10), strict=True))  # a city's images err alike
            noisy = [
                (n, labels, np.where(rng.random(labels.shape) < shares[n[0]], rng.integers(0, 3, labels.shape), a))
                for n, labels, a in truth
            ]
            sides.append(counts(noisy))
        found = paired_difference(*sides, TABLE)
        held += found.low <= 0 <= found.high
    assert 0.95 - 3 * np.sqrt(0.95 * 0.05 / 300) <= held / 300 <= 0.995


def test_a_class_that_moves_one_way_is_named_and_noise_is_not():
    rng = np.random.default_rng(0)
    noise = rng.normal(0, 5, (30, 4))
    noise[:, 3] = -noise[:, :3].sum(axis=1)
    quiet = moved_classes(noise)
    assert quiet.chance > 0.01
    moved = noise + np.array([20, -20, 0, 0])
    found = moved_classes(moved)
    assert {one.index for one in found.classes if one.chance < 1e-6} >= {0, 1}
    assert found.chance < 1e-6
    assert moved_classes(np.zeros((5, 3))).classes == ()


def test_the_test_of_movement_holds_its_rate():
    rng = np.random.default_rng(1)
    trials = 2000
    called = named = 0
    for _ in range(trials):
        net = rng.normal(0, 1, (12, 4)) * rng.uniform(0.1, 10, 4)
        net -= net.mean(axis=1, keepdims=True)
        found = moved_classes(net)
        called += found.chance < 0.05
        named += any(one.chance < 0.05 for one in found.classes)
    three = 3 * np.sqrt(0.05 * 0.95 / trials)
    assert abs(called / trials - 0.05) <= three
    assert named / trials <= 0.05 + three


def sides_of(rng, count, rate, sure=0):
    """Reference answers, margins, and `count` sides that turn pixels whose margin is small, and some that is sure."""
    reference = rng.integers(0, 3, (40, 50)).astype(np.uint8)
    margins = rng.integers(120, 230, reference.shape).astype(np.uint8)
    labels = reference.copy()
    found = []
    for _ in range(count):
        answers = reference.copy()
        turned = (rng.random(reference.shape) < rate) & (margins < 140)
        answers[turned] = (answers[turned] + 1) % 3
        for place in np.argwhere(margins > 220)[:sure]:
            answers[tuple(place)] = (answers[tuple(place)] + 1) % 3
        comparison = AnswerComparison((compare_answers("a/0", reference, answers, margins, 3),))
        one, other = count_image("a/0", reference, labels, TABLE), count_image("a/0", answers, labels, TABLE)
        found.append(Side(comparison, paired_difference([one], [other], TABLE)))
    return found


def judged(candidate, healthy, rate=1e-3):
    moved = moved_classes(candidate.answers.net({"a/0": "a/0"}))
    return judge_same_weights("made up", candidate, healthy, moved, NAMES, tier="tf32", false_alarm_rate=rate)


def test_other_rounding_passes_and_more_of_it_fails():
    rng = np.random.default_rng(0)
    *healthy, candidate = sides_of(rng, 9, 0.2)
    verdict = judged(candidate, healthy)
    assert verdict.status is Status.PASS
    assert verdict.aligned_tier == "tf32"
    (worse,) = sides_of(np.random.default_rng(0), 1, 0.9)
    failed = judged(worse, healthy)
    assert failed.status is Status.FAIL
    assert failed.violations[0].signal == "answers"


def test_a_pixel_that_the_reference_is_sure_of_is_found_by_its_margin():
    rng = np.random.default_rng(0)
    *healthy, _ = sides_of(rng, 9, 0.2)
    (candidate,) = sides_of(np.random.default_rng(0), 1, 0.2, sure=1)
    verdict = judged(candidate, healthy)
    assert [finding.signal for finding in verdict.violations] == ["margin"]


def test_too_few_repeats_decide_nothing():
    *healthy, candidate = sides_of(np.random.default_rng(0), 3, 0.2)
    assert len(healthy) == 2
    verdict = judged(candidate, healthy)
    assert verdict.status is Status.INCONCLUSIVE
    assert all(finding.status is not Outcome.PASS for finding in verdict.findings)


def test_repeats_that_would_allow_everything_decide_nothing_but_of_equal_answers():
    *healthy, candidate = sides_of(np.random.default_rng(0), 4, 0.2)
    verdict = judged(candidate, healthy)
    assert verdict.status is Status.INCONCLUSIVE
    assert "the 3 healthy repeats at tf32 would allow it of every pixel" in verdict.reason
    (equal,) = sides_of(np.random.default_rng(0), 1, 0.0)
    assert judged(equal, healthy).status is Status.PASS
    *more, candidate = sides_of(np.random.default_rng(0), 9, 0.2)
    assert judged(candidate, more).status is Status.PASS


def test_equal_answers_pass_and_say_nothing_of_margins():
    *healthy, _ = sides_of(np.random.default_rng(0), 9, 0.2)
    (candidate,) = sides_of(np.random.default_rng(0), 1, 0.0)
    assert candidate.answers.largest == NO_MARGIN
    assert judged(candidate, healthy).status is Status.PASS


@pytest.mark.slow
def test_the_false_alarm_rate_holds_in_simulation():
    rng = np.random.default_rng(11)
    trials, failed = 300, 0
    for _ in range(trials):
        *healthy, candidate = sides_of(rng, 9, 0.2)
        failed += judged(candidate, healthy, rate=0.05).status is Status.FAIL
    assert failed / trials <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / trials)


def test_sizes_and_classes_are_checked():
    small, large = np.zeros((2, 3), np.uint8), np.zeros((2, 4), np.uint8)
    with pytest.raises(DataError, match="another size"):
        compare_answers("a/0", small, large, None, 3)
    with pytest.raises(DataError, match="no class"):
        compare_answers("a/0", small, small + 7, None, 3)
    with pytest.raises(DataError, match="no answers"):
        AnswerComparison(())
