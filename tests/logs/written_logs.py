"""Logs that a test writes, and the trace that has to be read back from them."""

import numpy as np


def write(path, content):
    path.write_bytes(content)
    return path


def same(log, iterations, values):
    assert log.iterations.tolist() == list(iterations)
    np.testing.assert_array_equal(log.values, np.array(values, float))
