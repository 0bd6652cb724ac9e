"""A process that writes results to a history until it has written all, or is killed; says each that was kept."""

import sys

from harness.history.history_database import History
from harness.history.history_rows import BuildRow, Row

url, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
history = History(url)
for number in range(count):
    build = BuildRow(f"build-{number % 3}", "sdaa", "T100", {"driver": str(number % 3)}, "c0ffee")
    key = f"{name}-{number}"
    history.add(Row(key, build, name, f"case-{number}", "sdaa", "2026-01-01", "ci", "PASS", "aligned", (), "tf32", 1.0))
    print(key, flush=True)  # only once it is kept
