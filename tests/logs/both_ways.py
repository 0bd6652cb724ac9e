"""A log read in bulk and one by one: that both come to the same is what the bulk reading promises."""

from harness.logs import forms, read_log
from harness.values.errors import LogError


def require_read_alike(path, monkeypatch):
    with monkeypatch.context() as one_by_one:
        one_by_one.setattr(forms, "_WORTH_LEARNING", 1 << 40)  # no log has so many lines: none is read in bulk
        expected = _read(path)
    assert _read(path) == expected


def _read(path):
    """All that is said of a log, or of why it can't be read."""
    try:
        log = read_log(path)
    except LogError as error:
        return str(error)
    ranks = {rank: (series.iterations.tolist(), list(map(repr, series.values))) for rank, series in log.ranks.items()}
    told = log.format, log.metric, log.metrics, log.losses, log.decisions, log.lacking, log.numbered
    return ranks, told, (log.by_epoch, log.epoch_length, log.epoch_length_printed, log.first_epoch)
