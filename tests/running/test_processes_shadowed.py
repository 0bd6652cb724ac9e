"""Of several processes each must have left its shadow checks."""

from types import SimpleNamespace

import pytest

from harness.running.folder import shadow_file
from harness.running.verification import _shadowed_by
from harness.shadow.evidence.checks import Part, ShadowCheck
from harness.shadow.files.check_stream import ShadowStream
from tests.healthy_runs import make_provenance


def leave(folder, rank, iterations):
    with ShadowStream(shadow_file(folder, rank), "tf32") as stream:
        for number in iterations:
            check = ShadowCheck(number, Part.FORWARD, "", "mm", "output", 0, "float32", (2, 3), True, 1e-7, 0.0)
            stream.append(number, [check], {"mm": 1}, {"mm": 1}, {})


@pytest.mark.parametrize(
    ("processes", "left"), [(1, None), (2, [(0, 1), ()]), (3, [(0, 1), (), (0,)]), (4, [(0, 1), (), (0,), ()])]
)
def test_a_file_that_is_missing_is_noticed(tmp_path, processes, left):
    leave(tmp_path, 0, (0, 1))
    leave(tmp_path, 2, (0,))
    run = SimpleNamespace(provenance=make_provenance(world_size=processes))
    assert _shadowed_by(run, tmp_path) == left
