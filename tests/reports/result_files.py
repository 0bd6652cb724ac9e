"""A result.json with the content that a test gives it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from reports import Record
from reports.results import json_result


def edited(record: Record, change: Callable[[dict[str, Any]], Any]) -> str:
    """The result of a record as someone leaves it who changes it and makes its checksum anew."""
    content = json.loads(json_result.encode(record))
    schema = content.pop("schema")
    del content["checksum"]
    change(content)
    return json.dumps({"schema": schema, **content, "checksum": json_result._checksum(content)})


def stored(folder: Path, content: str | bytes) -> Path:
    path = folder / "result.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
