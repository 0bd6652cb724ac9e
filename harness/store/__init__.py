"""Runs and baselines on disk. Text that diffs, floats that round-trip, nothing half-written read as whole.

``decoding.py`` is the one codec: a dataclass is what a document must be, and a document that isn't is an error that
says the file, the field, what was found and what is allowed. ``json_schema.py`` publishes the same types. ``atomic.py``
writes a file whole or not at all, ``stream.py`` a run line by line as it happens, ``baselines.py`` a folder in the
place of another.

To add a format: a frozen dataclass, ``read_value`` and ``encode_value`` with a schema's number, and its line in
``harness/cli/schemas.py``.
"""
