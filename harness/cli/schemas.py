"""`align schemas`: JSON schemas of the files that are written and read."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from harness.cli.console import shown

__all__ = ["add_parser", "schemas"]


def add_parser(commands: Any) -> None:
    """Add the command to the parser."""
    parser = commands.add_parser(
        "schemas",
        help="write the JSON schemas of results, baselines and runs",
        description="Writes a JSON schema (draft 2020-12) of each kind of file that align writes and reads.",
    )
    parser.add_argument(
        "--out", type=Path, default=Path("alignment-schemas"), metavar="DIR", help="the folder; default: %(default)s"
    )
    parser.set_defaults(func=run)


def run(arguments: argparse.Namespace) -> int:
    """Write them; always 0."""
    from harness.store.atomic import write_text
    from harness.store.decoding import encode_value

    for name, schema in schemas().items():
        write_text(arguments.out / name, encode_value(schema))
        print(shown(str(arguments.out / name)))
    return 0


def schemas() -> dict[str, dict[str, Any]]:
    """File of a schema → the schema."""
    from harness.baseline_folders import baseline_adoption, baseline_archive
    from harness.policy.policy_schema import gate_schema, policy_schema
    from harness.running import order, told, validation
    from harness.shadow.files import check_stream, reproduction_index
    from harness.shadow.reproducing import call_file
    from harness.store import baselines, provenance_file, stream
    from harness.store.json_schema import json_schema
    from harness.values.provenance import Provenance
    from reports.results import json_result

    trace_lines = (stream.StreamHead, stream.StreamRow, stream.StreamEnd)
    shadow_lines = (check_stream.ShadowHead, check_stream.ShadowLine, check_stream.ShadowEnd)
    kept = {"ShadowCheck": check_stream.FIELDS}
    return {
        "result.schema.json": json_schema(
            (json_result.ResultContent,),
            "result.json: a case judged, as align verify and align compare write it",
            version=json_result.SCHEMA,
            checksum=True,
        ),
        "baseline.schema.json": json_schema(
            (baselines.BaselineIndex,), "baseline.json: the index of a baseline's folder", checksum=True
        ),
        "adoption.schema.json": json_schema(
            (baseline_adoption.Adoption,),
            "adoption.json: how a baseline came to this machine",
            version=baseline_archive.SCHEMA,
        ),
        "provenance.schema.json": json_schema(
            (Provenance,), "provenance.json: where a run comes from", version=provenance_file.SCHEMA
        ),
        "order.schema.json": json_schema(
            (order.Order,), "order.json: what a child process is to run", version=order.SCHEMA
        ),
        "error.schema.json": json_schema(
            (told.Told,), "error.json: why a run could not be made", version=told.Told.SCHEMA
        ),
        "trace-line.schema.json": json_schema(trace_lines, "a line of trace.jsonl: head, iterations, end"),
        "validation-line.schema.json": json_schema(
            (validation.Validation,), "a line of validations.jsonl: the scores of a validation of a training"
        ),
        "shadow-line.schema.json": json_schema(
            shadow_lines,
            "a line of shadow.N.jsonl, forced.jsonl or asked.jsonl: head, shadowed iterations, end",
            version=check_stream.SCHEMA,
            rows=kept,
        ),
        "reproductions.schema.json": json_schema(
            (reproduction_index.Index,),
            "reproduce/index.N.json: the calls that came out wrong, each with a program",
            version=reproduction_index.SCHEMA,
        ),
        "call.schema.json": json_schema(
            (call_file.StoredCall,),
            'the metadata "call" of reproduce/N.safetensors: the call without its tensors',
            version=call_file.SCHEMA,
        ),
        "policy.schema.json": policy_schema(),
        "gate.schema.json": gate_schema(),
    }
