"""The published schemas: as the command makes them now, true of real files, and not of others."""

import json
from pathlib import Path

import jsonschema
import pytest

import reports
from harness.cli.schemas import schemas
from harness.running.order import Order
from harness.running.told import Told
from harness.store.decoding import encode_value
from harness.values.result import Result
from harness.values.verdict import Finding, Outcome, Status, Verdict
from tests.unpacking import unpack

ROOT = Path(__file__).parents[2]
PUBLISHED = ROOT / "docs" / "schemas"
RUN = ROOT / "tests" / "data" / "pinned" / "faulty.tar.xz"


def check(name, document):
    schema = schemas()[f"{name}.schema.json"]
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.Draft202012Validator(schema).validate(document)


@pytest.fixture(scope="module")
def run_folder(tmp_path_factory):
    """A run that was recorded: a fault that shadow ops see."""
    folder = tmp_path_factory.mktemp("run")
    unpack(RUN, folder)
    return folder / "faulty"


@pytest.fixture
def result(tmp_path):
    finding = Finding("envelope", Outcome.FAIL, "loss", "it is off", 3, float("inf"), 0.1)
    reports.write([Result(Verdict("made_up", Status.FAIL, "because", (finding,)))], tmp_path)
    return json.loads((tmp_path / "made_up" / "result.json").read_text())


def test_what_is_published_is_what_the_command_writes():
    published = {path.name: path.read_text(encoding="utf-8") for path in PUBLISHED.glob("*.json")}
    assert published == {name: encode_value(schema) for name, schema in schemas().items()}, (
        "align schemas --out docs/schemas"
    )


@pytest.mark.parametrize("path", sorted((ROOT / "baselines").rglob("baseline.json")), ids=lambda path: path.parts[-3])
def test_committed_baselines_follow_it(path):
    check("baseline", json.loads(path.read_text(encoding="utf-8")))


def test_a_recorded_run_follows_it(run_folder):
    check("provenance", json.loads((run_folder / "provenance.json").read_text()))
    for file, name in (("trace.jsonl", "trace-line"), ("shadow.0.jsonl", "shadow-line")):
        lines = (run_folder / file).read_text().splitlines()
        assert len(lines) >= 2
        for line in lines:
            check(name, json.loads(line))


def test_an_order_and_an_error_follow_it(tmp_path):
    Order(config="a.py", device="cpu").write(tmp_path / "order.json")
    check("order", json.loads((tmp_path / "order.json").read_text()))
    check("error", json.loads(encode_value(Told("it failed", where="here"), schema=1)))


def test_a_result_follows_it(result):
    check("result", result)


@pytest.mark.parametrize(
    "change",
    [
        {"unheard_of": 1},
        {"schema": 1},
        {"checksum": "none"},
        {"seconds": "soon"},
        {"findings": [{"rule": "envelope"}]},
        {"verdict": "MAYBE"},
    ],
    ids=str,
)
def test_what_the_reader_refuses_the_schema_refuses(result, change):
    with pytest.raises(jsonschema.ValidationError):
        check("result", {**result, **change})


def test_a_number_that_is_not_finite_is_its_name(result):
    assert result["findings"][0]["observed"] == "inf"
    result["findings"][0]["observed"] = "infinite"
    with pytest.raises(jsonschema.ValidationError):
        check("result", result)
