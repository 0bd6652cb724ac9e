"""Shadow ops of a faulty run end once they have found something."""

from types import SimpleNamespace

import pytest

from harness.power.stopping import ShadowStopHook
from harness.shadow.hook import ShadowHook
from harness.store.shadow import ShadowStream
from harness.values.shadow import Part, ShadowCheck


class Watching(ShadowHook):
    """Shadow ops of a run that isn't there."""

    def __init__(self):
        self.iterations_left = frozenset({0, 1})

    def finish(self):
        self.iterations_left = frozenset()


@pytest.fixture
def after(tmp_path):
    """What is left to shadow after an iteration with a check of this projection."""

    def left(projection, iteration=0):
        check = ShadowCheck(
            iteration, Part.FORWARD, "conv", "convolution", "output", 3, "float32", (4,), True, 1e-4, projection,
            terms=9.0, spread=1e4,
        )  # fmt: skip
        with ShadowStream(tmp_path / "shadow.0.jsonl", "tf32") as stream:
            stream.append(0, [check], {"convolution": 1}, {"convolution": 1}, {})
        watching = Watching()
        hook = ShadowStopHook(tmp_path, (0, 1), "tf32")
        hook.after_train_iter(SimpleNamespace(iter=iteration, hooks=[object(), watching]), 0)
        return watching.iterations_left

    return left


def test_what_was_found_is_not_looked_for_again(after):
    assert after(0.05) == frozenset()


def test_where_nothing_was_found_they_go_on(after):
    assert after(1e-6) == {0, 1}


def test_after_an_iteration_that_is_not_shadowed_nothing_is_judged(after):
    assert after(0.05, iteration=2) == {0, 1}
