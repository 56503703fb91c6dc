from invspec.report import contents
from invspec.report.pages.gauges import gauge


def test_a_gauge_places_the_interval_relative_to_the_expected_range(toy):
    holds, fails, waits = contents.report(*toy).verdicts
    inside, above = gauge(holds), gauge(fails)
    range_end = inside.range_start + inside.range_width
    assert inside.range_start < inside.low < inside.value < inside.high < range_end
    assert (above.range_start, above.low > above.range_width) == (0, True)
    assert gauge(waits) is None
