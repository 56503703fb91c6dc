"""Verdicts for machines that gate a change: whether all claims hold, and JUnit's XML."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import Literal
from xml.etree import ElementTree

from invspec.analysis.claims import OUTCOMES, Outcome, Verdict
from invspec.errors import counted
from invspec.report import captions
from invspec.report.contents import Report
from invspec.report.format import expectation, statistic, statistic_and_interval

# characters that no XML file may have
NOT_XML = re.compile("[^\\t\\n\\r\\x20-\\ud7ff\\ue000-\\ufffd\\U00010000-\\U0010ffff]")

Decision = Literal["passes", "fails", "undecided"]


def decision(verdicts: Sequence[Verdict]) -> Decision:
    """Whether all claims hold; fails if one fails, undecided if one has yet another verdict."""
    outcomes = {verdict.outcome for verdict in verdicts}
    if "fails" in outcomes:
        return "fails"
    return "undecided" if outcomes - {"holds"} else "passes"


def sentence(verdicts: Sequence[Verdict]) -> str:
    """A decision in words: gate fails: of 3 claims, 2 hold and 1 fails."""
    counts = Counter(verdict.outcome for verdict in verdicts)
    words = [_words(outcome, counts[outcome]) for outcome in OUTCOMES if counts[outcome]]
    decided = decision(verdicts)
    head = f"gate {'is undecided' if decided == 'undecided' else decided}"
    if len(verdicts) == 1:
        return f"{head}: the claim {words[0].removeprefix('1 ')}"
    listed = " and ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
    return f"{head}: of {counted(len(verdicts), 'claim')}, {listed}"


def _words(outcome: Outcome, count: int) -> str:
    singular = {"holds": "holds", "fails": "fails"}.get(outcome, f"is {outcome}")
    plural = {"holds": "hold", "fails": "fail"}.get(outcome, f"are {outcome}")
    return f"{count} {singular if count == 1 else plural}"


def junit(report: Report) -> str:
    """The verdicts as JUnit's XML: a test for each claim.

    One that fails is a failure; one that is undecided, not testable or missing is an error.
    """
    spec, verdicts = report.plan.spec, report.verdicts
    fails = sum(verdict.outcome == "fails" for verdict in verdicts)
    errors = sum(verdict.outcome not in ("holds", "fails") for verdict in verdicts)
    counts = {"tests": str(len(verdicts)), "failures": str(fails), "errors": str(errors)}
    suites = ElementTree.Element("testsuites", counts)
    suite = ElementTree.SubElement(suites, "testsuite", {"name": spec.name, **counts})
    facts = ElementTree.SubElement(suite, "properties")
    provenance = report.provenance
    for name, value in {
        "title": spec.title,
        "command": provenance.command,
        "finished": provenance.finished,
        **{name: ", ".join(values) for name, values in provenance.versions.items()},
    }.items():
        ElementTree.SubElement(facts, "property", {"name": name, "value": value})
    for number, verdict in enumerate(verdicts, 1):
        _add(suite, spec.name, number, verdict)
    ElementTree.indent(suites)
    text = ElementTree.tostring(suites, encoding="unicode", xml_declaration=True)
    return NOT_XML.sub("\N{REPLACEMENT CHARACTER}", text) + "\n"


def _add(suite: ElementTree.Element, name: str, number: int, verdict: Verdict) -> None:
    says = f"{number}. {verdict.claim.says}"
    test = ElementTree.SubElement(suite, "testcase", {"classname": name, "name": says})
    value, around = statistic_and_interval(verdict)
    measured = f"{statistic(verdict)} {value} ({around})" if around else "nothing measured"
    message = f"{captions.outcome(verdict)}: {measured}, expected {expectation(verdict)}"
    details = filter(
        None, [verdict.claim.source, captions.reason(verdict), *captions.notes(verdict)]
    )
    if verdict.outcome == "holds":
        ElementTree.SubElement(test, "system-out").text = "\n".join([message, *details])
        return
    kind = "failure" if verdict.outcome == "fails" else "error"
    attributes = {"message": message, "type": verdict.outcome}
    ElementTree.SubElement(test, kind, attributes).text = "\n".join(details)
