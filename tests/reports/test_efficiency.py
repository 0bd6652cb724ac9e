"""The drawing of what attention blocks save."""

import pytest

from harness.efficiency.efficiency_report import Saving, draw_efficiency

SAVINGS = [Saving("criss-cross, 1×512×97×97", 6.5, 9.6, 4.2), Saving("APNB, 1×512×256×128", 30.0, None, None)]


@pytest.mark.parametrize("ending", ["svg", "png"])
def test_a_drawing_is_written_the_same_every_time(tmp_path, ending):
    first, second = tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    draw_efficiency(SAVINGS, first)
    draw_efficiency(SAVINGS, second)
    assert first.stat().st_size > 1000
    if ending == "png":
        assert first.read_bytes() == second.read_bytes()


def test_what_was_not_measured_is_said(tmp_path):
    import matplotlib as mpl

    with mpl.rc_context({"svg.fonttype": "none"}):
        draw_efficiency(SAVINGS, tmp_path / "a.svg")
    text = (tmp_path / "a.svg").read_text(encoding="utf-8")
    assert text.count("not measured") >= 2
    assert "9.6×" in text
