"""Results of every kind, by name, and a parser for the pages that show them."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache

import pytest

from harness.values.result import Result
from tests.reports import judged_results, shadowed_results
from tests.reports.parsed_page import Page

SAMPLES: dict[str, Callable[[], Result]] = {
    "passing": cache(judged_results.passing),
    "failing_by_envelope": cache(judged_results.failing_by_envelope),
    "failing_by_buffers": cache(judged_results.failing_by_buffers),
    "inconclusive": cache(judged_results.inconclusive),
    "crashed": cache(judged_results.crashed),
    "cut_short": cache(judged_results.cut_short),
    "not_finite": cache(judged_results.not_finite),
    "shadowed": cache(shadowed_results.shadowed),
    "failing_by_shadow": cache(shadowed_results.failing_by_shadow),
}


@pytest.fixture(params=SAMPLES, ids=str)
def any_result(request: pytest.FixtureRequest) -> Result:
    """Each of the samples."""
    return SAMPLES[request.param]()


@pytest.fixture(scope="session")
def samples() -> dict[str, Callable[[], Result]]:
    """All of them, by name."""
    return SAMPLES


@pytest.fixture
def parse() -> Callable[[str], Page]:
    """Parse a page."""
    return Page
