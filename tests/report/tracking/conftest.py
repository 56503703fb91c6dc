"""A study with known numbers, curves and verdicts, and its files."""

import pytest
from report_toys import CLAIMS, outcomes

from invspec.report import contents
from invspec.report.tracking import files, runs


@pytest.fixture
def seen(planned, toy_store):
    """A report of six nets, two of which have curves and no numbers, and its store."""
    plan = planned(CLAIMS.replace("seeds: [0]", "seeds: [0, 1]"))
    store = toy_store(plan, outcomes)
    return contents.report(plan, store), store


@pytest.fixture
def study(seen):
    return runs.study(*seen)


@pytest.fixture
def kept(seen):
    with files.written(*seen) as kept:
        yield kept
