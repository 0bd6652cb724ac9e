"""The database of a history: SQLite in a file, or a server that many machines write to.

Each result is a transaction of its own, so that a writer that is killed loses no more than the result that it was
writing, and nothing of another's. SQLite takes one writer at a time: the others wait. Whether a result is there already
is decided by a unique key in the database, not by looking first.

SQLAlchemy is imported here alone, and only where a history is asked for.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from harness.history.history_rows import BuildRow, Row
from harness.store.decoding import decode_value
from harness.values.bounds import Finite
from harness.values.errors import AlignmentError, UsageError

__all__ = ["VARIABLE", "History", "HistoryError", "StoredBuild", "StoredResult", "without_password"]

SCHEMA = 1

VARIABLE = "ALIGN_HISTORY"
"""The environment variable that names the database where the command line doesn't: a password needn't be typed."""

_EXTRA = "pip install 'alignment-harness[history]'"

_WAIT = 120
"""Seconds that a writer waits for the others. Writing a result takes milliseconds; a network's file system more."""


class HistoryError(AlignmentError):
    """A history can't be opened, read or written."""


@dataclass(frozen=True, slots=True)
class StoredBuild:
    """A build as the database holds it.

    Args:
        id: in this database.
        device: label.
        name: the card's.
        table: of versions.
        commit: of the code under test.
        label: what its makers call it.
    """

    id: int
    device: str
    name: str
    table: Mapping[str, str]
    commit: str
    label: str


class StoredResult(NamedTuple):
    """What is read of every result; a tuple, since there are a hundred thousand of them.

    Args:
        id: in this database.
        build: id of its build; None where the run ended before it said.
        invocation: id.
        case: name.
        device: label.
        started: UTC time.
        status: of the verdict.
        cause: the first one; empty for a PASS.
    """

    id: int
    build: int | None
    invocation: str
    case: str
    device: str
    started: str
    status: str
    cause: str


def without_password(url: str) -> str:
    """A URL as it may be shown and stored."""
    return re.sub(r"(?<=://)([^/@:\s]*):[^@\s]*@", r"\1:***@", url)


class History:
    """A database of results.

    Args:
        url: a path, ``sqlite:///PATH``, or ``postgresql://USER:PASSWORD@HOST/DATABASE``.
        create: whether to make it where it is missing; else that is an error.

    Raises:
        HistoryError: the extra is not installed, or the database can't be opened, or is of another version.
        UsageError: it is no URL.
    """

    def __init__(self, url: str, *, create: bool = True) -> None:
        self.shown = without_password(url)
        sa = _sqlalchemy()
        try:
            parsed = sa.make_url(_spelled(url))
        except (sa.exc.ArgumentError, ValueError):
            raise UsageError(
                "this is no database's URL", where="--history", observed=self.shown, allowed=_FORMS
            ) from None
        if parsed.get_backend_name() not in {"sqlite", "postgresql"}:
            raise UsageError("there is no such kind of history", where="--history", observed=self.shown, allowed=_FORMS)
        self._sqlite = parsed.get_backend_name() == "sqlite"
        if self._sqlite:
            _require_file(parsed.database, create, self.shown)
        try:
            self._engine = sa.create_engine(parsed, **({"connect_args": {"timeout": _WAIT}} if self._sqlite else {}))
        except ModuleNotFoundError as missing:
            raise HistoryError(
                "the database's driver is not installed", where=self.shown, observed=missing.name, hint=_EXTRA
            ) from None
        if self._sqlite:
            _begin_explicitly(sa, self._engine)
        self._tables = _tables(sa)
        with self._told():
            self._prepare()

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()

    def add(self, row: Row) -> bool:
        """Keep a result.

        Returns:
            Whether it is new: the same result twice is kept once.
        """
        return self.add_all([row]) == 1

    def add_all(self, rows: Sequence[Row]) -> int:
        """Keep results, all of them or none.

        Returns:
            How many are new.
        """
        kept = list({row.key: row for row in rows}.values())
        with self._told(), self._writing() as connection:
            builds = {row.build.key: row.build for row in kept if row.build is not None}
            ids = {key: self._build_id(connection, build) for key, build in builds.items()}
            there = self._there(connection, [row.key for row in kept])
            values = [_values(row, None if row.build is None else ids[row.build.key]) for row in kept]
            if values:
                connection.execute(self._insert("results").on_conflict_do_nothing(), values)
        return len(kept) - there

    def _there(self, connection: Any, keys: Sequence[str]) -> int:
        """How many of some results are kept already."""
        table = self._tables["results"]
        found = 0
        for start in range(0, len(keys), 500):
            chosen = table.c.key.in_(keys[start : start + 500])
            found += len(connection.execute(_select(table.c.id).where(chosen)).all())
        return found

    def builds(self) -> list[StoredBuild]:
        """Every build."""
        table = self._tables["builds"]
        with self._told(), self._engine.connect() as connection:
            columns = (table.c.id, table.c.device, table.c.name, table.c.build_table, table.c.commit, table.c.label)
            rows = connection.execute(_select(*columns)).all()
        return [StoredBuild(i, device, name, self._decoded(text, "build_table"), commit, label)
                for i, device, name, text, commit, label in rows]  # fmt: skip

    def results(self) -> list[StoredResult]:
        """Every result, as far as a timeline needs it."""
        table = self._tables["results"]
        names = ("id", "build_id", "invocation", "case_name", "device", "started", "status", "cause")
        with self._told(), self._engine.connect() as connection:
            rows = connection.execute(_select(*(table.c[name] for name in names))).all()
        return [StoredResult._make(row) for row in rows]

    def details(self, column: str, ids: Sequence[int]) -> dict[int, Any]:
        """One column of some results: of those that hold JSON the value."""
        table = self._tables["results"]
        found = {}
        with self._told(), self._engine.connect() as connection:
            for start in range(0, len(ids), 500):  # SQLite before 3.32 takes no more than 999 values
                some = ids[start : start + 500]
                rows = connection.execute(_select(table.c.id, table.c[column]).where(table.c.id.in_(some)))
                found.update({key: self._decoded(text, column) if column in _JSON else text for key, text in rows})
        return found

    def _decoded(self, text: str, column: str) -> Any:
        """The value that a column's JSON spells: somebody else's hand may have been in the database."""
        where = f"{self.shown}, column {column}"
        return decode_value(str(text).encode("utf-8", "surrogatepass"), _JSON[column], where, HistoryError)

    def _build_id(self, connection: Any, build: BuildRow) -> int:
        table = self._tables["builds"]
        values = {
            "key": build.key,
            "device": build.device,
            "name": build.name,
            "build_table": json.dumps(dict(build.table)),
            "commit": build.commit,
            "label": build.label,
        }
        insert = self._insert("builds").values(values)
        if build.label:
            insert = insert.on_conflict_do_update(index_elements=["key"], set_={"label": build.label})
        else:
            insert = insert.on_conflict_do_nothing()
        connection.execute(insert)
        return int(connection.execute(_select(table.c.id).where(table.c.key == build.key)).scalar_one())

    def _insert(self, name: str) -> Any:
        if self._sqlite:
            from sqlalchemy.dialects.sqlite import insert
        else:
            from sqlalchemy.dialects.postgresql import insert
        return insert(self._tables[name])

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """A transaction that waits for the other writers of a SQLite file before it reads or writes anything."""
        with self._engine.connect().execution_options(align_writes=True) as connection, connection.begin():
            yield connection

    def _prepare(self) -> None:
        """Make the tables where they are missing; several may do so at once."""
        sa = _sqlalchemy()
        schema = self._tables["history_schema"]
        with self._writing() as connection:
            if not self._sqlite:
                connection.execute(sa.text("SELECT pg_advisory_xact_lock(7236420)"))  # until the transaction's end
            schema.metadata.create_all(connection)
            found = connection.execute(_select(schema.c.version)).scalar()
            if found is None:
                connection.execute(schema.insert().values(version=SCHEMA))
            elif found != SCHEMA:
                raise HistoryError(
                    "the history is of another version of align", where=self.shown, observed=found, allowed=SCHEMA
                )

    @contextmanager
    def _told(self) -> Iterator[None]:
        """What the database refuses, as an error of ours, without the URL's password."""
        sa = _sqlalchemy()
        try:
            yield
        except sa.exc.SQLAlchemyError as failure:
            cause = str(getattr(failure, "orig", None) or failure).strip().splitlines()
            raise HistoryError(
                "the history can't be opened, read or written",
                where=self.shown,
                observed=without_password(cause[0]) if cause else type(failure).__name__,
                allowed=_FORMS,
            ) from None


_JSON: dict[str, Any] = {
    "causes": tuple[str, ...],
    "measures": dict[str, Finite],
    "sight": dict[str, Finite],
    "left_out": tuple[str, ...],
    "surroundings": dict[str, str],
    "build_table": dict[str, str],
}
"""Columns that hold JSON → what it is."""

_FORMS = "a path, sqlite:///PATH, or postgresql://USER:PASSWORD@HOST/DATABASE"


def _values(row: Row, build: int | None) -> dict[str, Any]:
    """A row as the table's columns."""
    return {
        "key": row.key,
        "build_id": build,
        "invocation": row.invocation,
        "case_name": row.case,
        "device": row.device,
        "started": row.started,
        "machine": row.machine,
        "status": row.status,
        "reason": row.reason,
        "cause": row.causes[0] if row.causes else "",
        "causes": json.dumps(row.causes),
        "aligned_tier": row.aligned_tier,
        "seconds": row.seconds,
        "measures": json.dumps(dict(row.measures)),
        "sight": json.dumps(dict(row.sight)),
        "left_out": json.dumps(row.left_out),
        "surroundings": json.dumps(dict(row.surroundings)),
        "source": row.source,
    }


def _sqlalchemy() -> Any:
    try:
        import sqlalchemy
    except ModuleNotFoundError:
        raise HistoryError("a history needs SQLAlchemy, which is not installed", hint=_EXTRA) from None
    return sqlalchemy


def _select(*columns: Any) -> Any:
    return _sqlalchemy().select(*columns)


def _spelled(url: str) -> str:
    """The URL as SQLAlchemy takes it: a bare path is a SQLite file, PostgreSQL is spoken to by psycopg 3."""
    if not url:
        raise UsageError("there is no history", where="--history", allowed=_FORMS)
    if "://" not in url:
        return f"sqlite:///{url}"
    return re.sub(r"^postgres(ql)?://", "postgresql+psycopg://", url)


def _require_file(path: str | None, create: bool, shown: str) -> None:
    """A SQLite file that is there, or may be made."""
    if not path or path == ":memory:":
        return
    if not create and not os.path.exists(path):  # noqa: PTH110  # SQLAlchemy's own text
        raise HistoryError("there is no such history", where=shown, hint=f"align history add RESULT --history {shown}")
    folder = os.path.dirname(path)  # noqa: PTH120
    if create and folder:
        os.makedirs(folder, exist_ok=True)  # noqa: PTH103


def _begin_explicitly(sa: Any, engine: Any) -> None:
    """Let writers of SQLite begin by taking the lock: one that reads first and locks later can be refused for good."""

    def connected(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # Python's own module begins nothing by itself
        connection.execute("PRAGMA synchronous=FULL")

    def begun(connection: Any) -> None:
        writes = connection.get_execution_options().get("align_writes", False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", begun)


def _tables(sa: Any) -> dict[str, Any]:
    """The schema; ``docs/history.md`` documents it."""
    metadata = sa.MetaData()

    def text(name: str, **settings: Any) -> Any:
        return sa.Column(name, sa.Text, nullable=False, **settings)

    tables = [
        sa.Table("history_schema", metadata, sa.Column("version", sa.Integer, primary_key=True, autoincrement=False)),
        sa.Table(
            "builds",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            text("key", unique=True),
            *(text(name) for name in ("device", "name", "build_table", "commit", "label")),
        ),
        sa.Table(
            "results",
            metadata,
            sa.Column("id", sa.Integer, primary_key=True),
            text("key", unique=True),
            sa.Column("build_id", sa.Integer, sa.ForeignKey("builds.id"), nullable=True, index=True),
            *(text(name) for name in ("invocation", "case_name", "device", "started", "machine", "status", "reason")),
            *(text(name) for name in ("cause", "causes", "aligned_tier", "measures", "sight", "left_out")),
            *(text(name) for name in ("surroundings", "source")),
            sa.Column("seconds", sa.Float, nullable=False),
        ),
    ]
    return {table.name: table for table in tables}
