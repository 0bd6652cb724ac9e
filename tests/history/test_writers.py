"""Two writers at once, one of them killed while it writes: nothing that was said to be kept is lost."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

pytest.importorskip("sqlalchemy")

from harness.history.history_database import History

PROGRAM = Path(__file__).with_name("writers.py")
RESULTS = 12

PAIRS = int(os.environ.get("ALIGN_WRITER_PAIRS", "4"))
"""Each takes the start of two processes: docs/history.md has what more of them showed."""


def writer(url, name, count=RESULTS):
    return subprocess.Popen(
        [sys.executable, str(PROGRAM), url, name, str(count)], stdout=subprocess.PIPE, text=True, bufsize=1
    )


def pair(url, number):
    """Two writers at once; one is killed when it has said a few results, at another one each time.

    Returns:
        The keys that the two said they had kept, and whether the kill came before its end.
    """
    with writer(url, f"lasting-{number}") as lasting, writer(url, f"killed-{number}", 10_000) as killed:
        said = [killed.stdout.readline().strip() for _ in range(1 + number % 5)]
        time.sleep(0.001 * (number % 7))  # anywhere within the next transaction
        killed.send_signal(signal.SIGKILL)
        said += [line.strip() for line in killed.stdout.read().split("\n")[:-1]]  # whole lines alone
        out = lasting.stdout.read()
    assert (lasting.returncode, killed.returncode) == (0, -signal.SIGKILL)
    return {*said, *out.split()}


def check(url, pairs):
    said = set()
    for number in range(pairs):
        said |= pair(url, number)
    history = History(url, create=False)
    results = history.results()
    history.close()
    kept = {(one.invocation, one.case) for one in results}
    wanted = {(key.rpartition("-")[0], f"case-{key.rpartition('-')[2]}") for key in said}
    assert wanted <= kept
    assert len(results) == len(kept), "a result is kept twice"
    # of a killed writer one more may be kept than it came to say
    assert len(kept - wanted) <= pairs
    assert sum(name.startswith("lasting") for name, _ in kept) == pairs * RESULTS
    assert all(one.build is not None for one in results)


@pytest.mark.slow
def test_pairs_on_sqlite(tmp_path):
    check(str(tmp_path / "history.db"), PAIRS)


def _server_programs():
    found = shutil.which("pg_ctl") or next(
        (str(path) for path in sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_ctl"))), None
    )
    return Path(found).parent if found else None


@pytest.fixture(scope="module")
def server():
    """The URL of a PostgreSQL server of the system's package, started for these tests."""
    pytest.importorskip("psycopg")
    programs = _server_programs()
    if programs is None:
        pytest.skip("there is no PostgreSQL server here: apt-get install postgresql")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a short path: a socket's name has 107 characters at most
    prefix = []
    if os.geteuid() == 0:  # the server refuses to run as root
        subprocess.run(["chown", "-R", "nobody", str(folder)], check=True)
        prefix = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"]
    data, options = folder / "data", f"-k {folder} -c listen_addresses='' -c fsync=on"
    try:
        subprocess.run([*prefix, programs / "initdb", "-D", data, "-U", "align", "-A", "trust"], check=True,
                       capture_output=True, cwd="/")  # fmt: skip
        subprocess.run([*prefix, programs / "pg_ctl", "-D", data, "-o", options, "-w", "-l", folder / "log", "start"],
                       check=True, capture_output=True, cwd="/")  # fmt: skip
        try:
            yield f"postgresql://align@/postgres?host={folder}"
        finally:
            subprocess.run([*prefix, programs / "pg_ctl", "-D", data, "-m", "immediate", "stop"], check=False,
                           capture_output=True, cwd="/")  # fmt: skip
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
def test_pairs_on_postgresql(server):
    check(server, PAIRS)


@pytest.mark.slow
def test_postgresql_answers_as_sqlite_does(server, tmp_path):
    from harness.history.history_answer import answer
    from harness.history.history_json import encode_answer
    from harness.history.history_rows import BuildRow, Row

    rows = []
    for n in range(5):
        build = BuildRow(f"k{n}", "sdaa", "T", {"d": str(n)}, "c")
        failed, passed = ("FAIL", "r", ("envelope: loss",), ""), ("PASS", "r", (), "tf32")
        verdict: tuple[str, str, tuple[str, ...], str] = failed if n > 2 else passed
        rows.append(
            Row(f"{n}", build, f"i{n}", "ann", "sdaa", f"2026-01-0{n + 1}", "m", *verdict, 1.0, {"x": float(n)})
        )
    import sqlalchemy

    engine = sqlalchemy.create_engine(server.replace("postgresql://", "postgresql+psycopg://"))
    with engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE IF EXISTS results, builds, history_schema"))
    engine.dispose()
    said = []
    for url in (server, str(tmp_path / "h.db")):
        history = History(url)
        assert history.add_all(rows) == 5
        assert history.add_all(rows[:2]) == 0
        said.append(encode_answer(answer(history)))
        history.close()
    assert said[0] == said[1]
