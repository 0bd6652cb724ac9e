"""A result.json with the content that a test gives it."""

from pathlib import Path


def stored(folder: Path, content: str | bytes) -> Path:
    path = folder / "result.json"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path
