"""Premises, alternatives and nested statistics are shown in every format."""

import io
import json

import pytest
from report_toys import CLAIMS, outcomes
from rich.console import Console

from invspec.report import captions, contents, export, latex, text
from invspec.report.pages import render

ACCURACY = "{measure: accuracy, at: {model: linear, rotations.max_degrees: 0}}"
ROBUSTNESS = "{measure: robustness, at: {model: linear, rotations.max_degrees: 0, pgd.eps: 0}}"
MORE = f"""
  - says: this cannot be tested
    given: {{says: nets are accurate, value: {ACCURACY}, expect: {{value: {{above: 0.95}}}}}}
    value: {ACCURACY}
    expect: {{value: {{above: 0.5}}}}
  - says: nor can this
    given: [{{value: {ACCURACY}, expect: {{value: {{above: 0.8}}}}}}]
    value: {ACCURACY}
    expect: {{value: {{above: 0.5}}}}
  - says: one of two versions
    value: {ACCURACY}
    one_of:
      - {{says: high, source: first, expect: {{value: {{above: 0.6}}}}}}
      - {{says: low, source: second, expect: {{value: {{below: 0.6}}}}}}
  - says: one of three
    value: {ACCURACY}
    one_of:
      - {{says: high, expect: {{value: {{above: 0.8}}}}}}
      - {{says: middle, expect: {{value: {{above: 0.7, below: 0.8}}}}}}
      - {{says: low, expect: {{value: {{below: 0.6}}}}}}
  - says: two of two
    one_of:
      - {{says: both, value: {ACCURACY}, expect: {{value: {{above: 0.6}}}}}}
      - {{says: hold, value: {ROBUSTNESS}, expect: {{value: {{above: 0.1}}}}}}
  - says: every step
    trend: {{measure: robustness, along: pgd.eps, at: {{model: linear, rotations.max_degrees: 0}}}}
    expect: {{falling: {{every_step: true}}}}
"""


@pytest.fixture
def report(planned, toy_store):
    plan = planned(CLAIMS + MORE)
    store = toy_store(plan, outcomes)
    return contents.report(plan, store), store


def test_untestable_claims_are_tallied_apart(report):
    tally = captions.tally(report[0].verdicts)
    assert [(outcome, count) for outcome, count, _ in tally] == [
        ("holds", 3),
        ("fails", 1),
        ("undecided", 2),
        ("not testable", 2),
        ("missing", 1),
    ]


def test_the_reason_names_the_premise_or_the_alternative(report):
    reasons = [captions.reason(verdict) for verdict in report[0].verdicts]
    assert reasons[:3] == [""] * 3
    assert reasons[3] == "the premise fails: nets are accurate (0.800, 0.711 to 0.867)"
    assert reasons[4] == "the premise is undecided: accuracy above 0.8 (0.800, 0.711 to 0.867)"
    assert reasons[5] == "it is: high (first)"
    assert reasons[6] == "high: undecided; middle: undecided; low: fails"
    assert reasons[8] == ""


def test_alternatives_that_hold_together_do_not_exclude_each_other(report):
    verdict = report[0].verdicts[7]
    assert verdict.outcome == "undecided"
    assert captions.reason(verdict) == (
        "2 alternatives hold, so they do not exclude each other (both: holds; hold: holds)"
    )


def test_every_format_shows_reasons_and_statistics(report):
    terminal = io.StringIO()
    text.show(report[0], Console(file=terminal, width=200, highlight=False))
    for shown in (terminal.getvalue(), render.text(report[0]), latex.text(report[0])):
        assert "the premise fails: nets are accurate" in shown
        assert "it is: high (first)" in shown
        assert "not testable" in shown
        assert "greatest step" in shown
    assert 'class="verdict not-testable"' in render.text(report[0])


def test_json_has_the_verdicts_on_premises_and_alternatives(report):
    claims = json.loads(export.json_text(*report))["claims"]
    assert claims[3]["outcome"] == "not testable"
    assert claims[3]["premises"][0]["outcome"] == "fails"
    assert [one["outcome"] for one in claims[5]["alternatives"]] == ["holds", "fails"]
    assert claims[8]["statistic"] == "greatest_step"
