"""The table of a step's operations."""

import csv
import io
import json
import math
from dataclasses import replace

from harness.shadow.evidence.checks import Coverage, Part, ShadowCheck, ShadowRecord
from harness.shadow.judging.operations import weigh_shadow
from harness.shadow.ops_listing import list_operations, list_tensors, on_device, render_csv, render_json

CHECK = ShadowCheck(0, Part.FORWARD, "a", "convolution", "output", 0, "float32", (2, 8), True, 2e-4, 1e-7, terms=9.0)
COVERAGE = Coverage({"convolution": 7, "roi_align": 2}, {"convolution": 7}, {"roi_align": "none"}, ("roi_align",))


def listed(*checks):
    record = ShadowRecord((0,), checks, COVERAGE, "tf32")
    evidence = weigh_shadow(record, "tf32")
    tensors = list_tensors(record, evidence)
    return tensors, list_operations(tensors, COVERAGE)


def test_what_is_alike_is_one_row_with_its_worst():
    worse = replace(CHECK, module="b", error=4e-4, call=1)
    (tensor,), (operation,) = listed(CHECK, worse)
    assert (tensor.calls, tensor.error, tensor.module) == (2, 4e-4, "b")
    assert operation.calls == 7  # as many as there were, not as were checked of this tensor
    assert operation.family == "convolution forward"
    assert operation.expected == 10
    assert 9 < operation.bits < 11


def test_another_shape_dtype_or_layout_is_another_tensor_but_no_other_operation():
    tensors, operations = listed(
        CHECK, replace(CHECK, shape=(4, 8)), replace(CHECK, contiguous=False), replace(CHECK, dtype="float16")
    )
    assert len(tensors) == 4
    assert [(row.dtype, row.calls) for row in operations] == [("float32", 3), ("float16", 1)]


def test_a_violation_comes_first_and_a_nan_is_one():
    broken = replace(CHECK, op="add", error=math.nan)
    _, operations = listed(CHECK, broken)
    assert [(row.op, row.violated) for row in operations] == [("add", True), ("convolution", False)]


def test_a_check_by_program_runs_nowhere():
    tensors, _ = listed(CHECK, replace(CHECK, op="SGD"), replace(CHECK, op="roi_align"))
    assert [row.on_host for row in tensors] == [False, None, True]


def test_coverage_is_counted_of_operations_and_of_calls():
    assert on_device(COVERAGE) == (1, 2, 7, 9)
    assert on_device(Coverage()) == (0, 0, 0, 0)


def test_the_whole_list_is_csv_and_strict_json():
    tensors, _ = listed(CHECK, replace(CHECK, op="add", error=math.inf))
    read = list(csv.DictReader(io.StringIO(render_csv(tensors))))
    assert [(row["op"], float(row["error"]), row["shape"]) for row in read] == [
        ("convolution", 2e-4, "2x8"),
        ("add", math.inf, "2x8"),
    ]

    def refuse(constant):
        raise AssertionError(constant)

    document = json.loads(render_json(tensors, COVERAGE), parse_constant=refuse)
    assert document["rows"][1]["error"] == "inf"
    assert document["rows"][0]["shape"] == [2, 8]
    assert document["coverage"]["operations_on_device"] == 1
    assert document["coverage"]["fallen_back"] == ["roi_align"]
