"""Helpers whose assertions say what differs."""

import pytest

pytest.register_assert_rewrite("tests.compare.two_logs")
