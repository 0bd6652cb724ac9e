"""A shadowed run ends behind its last shadowed iteration, that of a fault once something was found."""

from types import SimpleNamespace

import pytest

from harness.lab.power.stopping import SeenEnoughError, ShadowStopHook
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.files.check_stream import ShadowStream


@pytest.fixture
def ends(tmp_path):
    """How a run that shadows iterations 0 and 2 ends behind one with a check of this projection; empty where not."""

    def ends(projection, iteration=0, *, when_found=True, planned=30):
        check = ShadowCheck(
            iteration, Part.FORWARD, "conv", "convolution", "output", 3, "float32", (4,), True, 1e-4, projection,
            terms=9.0, spread=1e4,
        )  # fmt: skip
        (tmp_path / "shadow.0.jsonl").unlink(missing_ok=True)
        with ShadowStream(tmp_path / "shadow.0.jsonl", "tf32") as stream:
            stream.append(0, [check], {"convolution": 1}, {"convolution": 1}, {})
        hook = ShadowStopHook(tmp_path, (0, 2), "tf32", when_found=when_found)
        try:
            hook.after_train_iter(SimpleNamespace(iter=iteration, max_iters=planned), 0)
        except SeenEnoughError as ended:
            return "whole" if ended.whole else "seen"
        return ""

    return ends


def test_what_was_found_is_not_looked_for_again(ends):
    assert ends(0.05) == "seen"
    assert not ends(0.05, when_found=False)


def test_where_nothing_was_found_it_goes_on(ends):
    assert not ends(1e-6)


def test_after_an_iteration_that_is_not_shadowed_nothing_is_judged(ends):
    assert not ends(0.05, iteration=1)


def test_behind_the_last_shadowed_iteration_nothing_is_left(ends):
    assert ends(1e-6, iteration=2) == "whole"
    assert ends(0.05, iteration=2) == "whole"
    assert ends(1e-6, iteration=2, when_found=False) == "whole"


def test_the_last_iteration_of_all_ends_by_itself(ends):
    assert not ends(0.05, iteration=2, planned=3)
