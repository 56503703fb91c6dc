"""Claims as their templates show them."""

from __future__ import annotations

from typing import Any

from invspec.analysis.claims import Verdict
from invspec.report import captions
from invspec.report.format import expectation, published, statistic, statistic_and_interval
from invspec.report.pages.gauges import gauge


def claim(verdict: Verdict) -> dict[str, Any]:
    """The text of a claim, its verdict, and what was measured, expected and published."""
    value, around = statistic_and_interval(verdict)
    expected = expectation(verdict)
    return {
        "says": verdict.claim.says,
        "source": verdict.claim.source,
        "outcome": verdict.outcome,
        "mark": verdict.outcome.replace(" ", "-"),
        "reason": captions.reason(verdict),
        "statistic": statistic(verdict),
        "verdict": captions.outcome(verdict),
        "notes": captions.notes(verdict),
        "value": value,
        "interval": around,
        "expected": expected,
        "published": published(verdict),
        "missing": captions.missing_scores(verdict),
        "doubt": captions.doubt(verdict),
        "gauge": gauge(verdict),
        "words": f"{statistic(verdict)} {value}, 95 % interval {around}, expected {expected}",
    }
