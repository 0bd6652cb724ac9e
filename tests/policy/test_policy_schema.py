"""The schema of a policy admits what the reader admits, and refuses what it refuses."""

import re
import sys
from datetime import date
from pathlib import Path

import jsonschema
import pytest

from harness.policy.policy_fields import CASE, DEFAULTS, KNOWN, TABLES
from harness.policy.policy_schema import gate_schema, policy_schema

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

VALIDATOR = jsonschema.Draft202012Validator(policy_schema())


def plain(value):
    """A TOML value as an editor hands it to a schema: dates are texts."""
    if isinstance(value, dict):
        return {name: plain(inner) for name, inner in value.items()}
    if isinstance(value, list):
        return [plain(inner) for inner in value]
    return value.isoformat() if isinstance(value, date) else value


def test_both_are_schemas():
    jsonschema.Draft202012Validator.check_schema(policy_schema())
    jsonschema.Draft202012Validator.check_schema(gate_schema())


def test_the_policy_of_the_documents_follows_it():
    text = (Path(__file__).parents[2] / "docs" / "policy.md").read_text(encoding="utf-8")
    examples = [example for example in re.findall(r"```toml\n(.*?)```", text, re.DOTALL) if "[tool." not in example]
    assert examples
    for example in examples:
        VALIDATOR.validate(plain(tomllib.loads(example)))


FIELDS = {
    f"{table}.{name}": field
    for table, fields in {**TABLES, "cases": CASE, "known": KNOWN, "defaults": DEFAULTS}.items()
    for name, field in fields.items()
    if "device" not in name and name != "expires"  # names of devices are of what is installed; a date is no text
}

VALUES = [
    *(True, False, -3, -1, 0, 1, 4, 5, 9, -0.5, 0.25, 0.99, 2.5, None),
    *("", " ", "auto", "none", "0,1", "1,", "a=1", "=1", "fp32", "tf32", "bf16", "pytorch", "text"),
    *([], [""], ["a=1"], ["text"], ["a=1", "b=2"], [3], {}, {"a": 1}),
]


@pytest.mark.parametrize("name", FIELDS)
def test_each_key_admits_the_same_values(name):
    field = FIELDS[name]
    validator = jsonschema.Draft202012Validator({**field.schema})
    assert [value for value in VALUES if validator.is_valid(value)] == [
        value for value in VALUES if field.convert(value) is not None
    ]


@pytest.mark.parametrize(
    "policy",
    [
        {"surprise": {}},
        {"defaults": {"surprise": 1}},
        {"cases": [{"tier": "fp32"}]},
        {"known": [{"case": "a", "cause": "b", "reason": "c", "owner": "d"}]},
        {"limits": {"gate-seconds": 0}},
        {"cases": {"name": "a"}},
    ],
)
def test_what_the_reader_refuses_it_refuses(policy):
    with pytest.raises(jsonschema.ValidationError):
        VALIDATOR.validate(policy)
