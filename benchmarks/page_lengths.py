"""How long pages are: sheets of A4 as printed, and pixels of height in a window, as Chromium lays them out.

    python benchmarks/page_lengths.py REPORT [REPORT ...] [--widths 1280]

REPORT is a page, or a folder: each page below it is measured. A page whose verdict has a goal (PASS and FAIL four
sheets and 3,500 pixels at 1280, ERROR two sheets) and that is longer ends the command with 1.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SHEETS = {"PASS": 4, "FAIL": 4, "ERROR": 2}
"""Sheets of A4 that a page of a verdict may have."""

PIXELS = {"PASS": 3500, "FAIL": 3500}
"""Of height that it may have in a window of 1280 pixels."""

QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update"),
    *("--disable-sync", "--no-first-run", "--hide-scrollbars"),
)


def main() -> int:
    """Measure, print a row a page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("reports", nargs="+", type=Path, metavar="REPORT")
    parser.add_argument("--widths", nargs="+", type=int, default=[1280])
    arguments = parser.parse_args()
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chrome")
    if browser is None:
        print("no Chromium is here: apt install chromium", file=sys.stderr)
        return 2
    pages = [page for given in arguments.reports for page in pages_of(given)]
    print(f"{'page':50} {'verdict':13} sheets  " + "  ".join(f"{width:>5} px" for width in arguments.widths))
    long = 0
    for page in pages:
        result = page.parent / "result.json"
        verdict = json.loads(result.read_text(encoding="utf-8"))["verdict"] if result.is_file() else ""
        with tempfile.TemporaryDirectory() as place:
            sheets = sheets_of(page, browser, Path(place))
            heights = {width: height_of(page, width, browser, Path(place)) for width in arguments.widths}
        over = sheets > SHEETS.get(verdict, sheets) or heights.get(1280, 0) > PIXELS.get(verdict, sys.maxsize)
        long += over
        told = "  ".join(f"{height:>8}" for height in heights.values())
        print(f"{str(page)[-50:]:50} {verdict:13} {sheets:>6}  {told}{'  longer than its goal' if over else ''}")
    return 1 if long else 0


def pages_of(given: Path) -> list[Path]:
    """A page, or those of a folder."""
    return sorted(given.rglob("*.html")) if given.is_dir() else [given]


def sheets_of(page: Path, browser: str, place: Path) -> int:
    """Sheets of A4 that Chromium prints."""
    printed = place / "page.pdf"
    run(browser, place, "--no-pdf-header-footer", f"--print-to-pdf={printed}", page.absolute().as_uri())
    return len(re.findall(rb"/Type\s*/Page\b", printed.read_bytes()))


def height_of(page: Path, width: int, browser: str, place: Path) -> int:
    """Height of the document in a window of some width, in CSS pixels; of a copy that may tell it."""
    source = page.read_text(encoding="utf-8")
    bare = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)
    told = "<script>document.documentElement.dataset.height = document.documentElement.scrollHeight</script>"
    copy = place / "page.html"
    copy.write_text(bare.replace("</body>", f"{told}</body>"), encoding="utf-8")
    seen = run(browser, place, "--dump-dom", f"--window-size={width},800", copy.as_uri())
    found = re.search(r'<html[^>]*data-height="(\d+)"', seen)
    if found is None:
        raise SystemExit(f"Chromium said no height of {page}")
    return int(found[1])


def run(browser: str, place: Path, *words: str) -> str:
    """What Chromium prints, with a profile of its own."""
    command = [browser, *QUIET, f"--user-data-dir={place / 'profile'}", *words]
    return subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout  # noqa: S603  # the browser alone


if __name__ == "__main__":
    sys.exit(main())
