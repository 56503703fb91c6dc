from report_toys import CLAIMS, outcomes

from invspec.report import curves
from invspec.report.figures import groups


def test_training_curves_are_tables_by_epoch(planned, toy_store):
    plan = planned(CLAIMS.replace("seeds: [0]", "seeds: [0, 1]"))
    tables = list(curves.tables(plan, toy_store(plan, outcomes)))
    assert [(table.measure, table.figure) for table in tables] == [
        ("loss", "profile"),
        ("accuracy", "beside"),
    ] * 2
    assert tables[0].column_values == (1, 2, 3)
    assert [line.labels for line in tables[0].lines] == [(0,), (90,), (180,)]
    first = tables[0].lines[0].numbers[0]
    assert (first.value, first.low, first.high, first.seeds) == (2.5, 2, 3, 2)
    assert len(groups.group(tables)) == 2
