"""What the checks found, in words: a headline, a line for each failure, and the cost."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from invspec.analysis.doubts import Record
from invspec.analysis.health import Health
from invspec.plan.cells import subject
from invspec.report.format import duration
from invspec.report.provenance import Provenance

# reasons that a caption gives at most, and seconds from which on a check's cost is told
MAX_REASONS, BRIEF = 3, 0.05


@dataclass(frozen=True)
class Line:
    """A failed check in words. status: fails or warns."""

    status: str
    subject: str
    check: str
    reason: str
    hint: str


def headline(health: Health) -> str:
    """How many nets pass: Health: 3 of 4 nets pass, 1 fails."""
    if health.is_off:
        return "Health: not checked (checks: none)"
    statuses = Counter(health.nets.values())
    if not statuses:
        return "Health: not checked"
    total = len(health.nets)
    words = "net passes" if total == 1 else "nets pass"
    parts = [f"{statuses['passes']:,} of {total:,} {words}"]
    if statuses["fails"]:
        parts.append(f"{statuses['fails']:,} fail{'s' if statuses['fails'] == 1 else ''}")
    if statuses["not checked"]:
        parts.append(f"{statuses['not checked']:,} not checked in full")
    return f"Health: {', '.join(parts)}"


def lines(health: Health) -> list[Line]:
    """The failed checks, those that gate first."""
    failed = [record for record in health.records if record.status in ("fails", "warns")]
    ordered = sorted(failed, key=lambda record: not record.gates)
    return [_line(record, health.names_datasets) for record in ordered]


def _line(record: Record, names_dataset: bool) -> Line:
    finding, examination = record.finding, record.examination
    assert finding is not None, "a failed check has a finding"
    about = subject(examination, names_dataset)
    return Line(record.status, about, examination.check, finding.reason, finding.hint)


def notes(health: Health) -> list[str]:
    """Sentences for a report: failures that gate, warnings, hints, and checks that did not run.

    The first failure of each check gives its reason, and stands for the others. A hint is given
    once.
    """
    by_check: dict[str, list[Line]] = defaultdict(list)
    for line in lines(health):
        by_check[line.check].append(line)
    sentences = list(_sentences(by_check.values()))
    missing = sum(record.finding is None for record in health.records)
    ran = f"{missing:,} of {len(health.records):,} checks have not been run"
    return [*sentences, *([f"not checked: {ran}"] if missing else [])]


def _sentences(failures: Iterable[Sequence[Line]]) -> Iterator[str]:
    hints: set[str] = set()
    for first, *others in failures:
        more = f"; {len(others):,} more {_verb(first.status, len(others))}" if others else ""
        yield f"{first.status}: {first.subject}: {first.reason} ({first.check}{more})"
        if first.hint and first.hint not in hints:
            hints.add(first.hint)
            yield f"hint: {first.hint}"


def _verb(status: str, count: int) -> str:
    singular, plural = ("fails", "fail") if status == "fails" else ("is warned of", "are warned of")
    return singular if count == 1 else plural


def alarm(health: Health) -> str:
    """One line for stderr if a check that gates failed; else empty."""
    failed = [line for line in lines(health) if line.status == "fails"]
    if not failed:
        return ""
    first, more = failed[0], len(failed) - 1
    others = f", and {more:,} more" if more else ""
    words = headline(health)
    return f"{words[0].lower()}{words[1:]}: {first.reason} ({first.check}){others}"


def why(reasons: Sequence[str]) -> str:
    """Reasons in a caption, the first few."""
    more = len(reasons) - MAX_REASONS
    others = [f"{more:,} more"] if more > 0 else []
    return "; ".join([*reasons[:MAX_REASONS], *others])


def cost(health: Health, facts: Provenance) -> str:
    """What the checks took: time, share, and time of each check; empty if none ran."""
    seconds: dict[str, float] = defaultdict(float)
    for record in health.records:
        seconds[record.examination.check] += record.seconds or 0.0
    total = sum(seconds.values())
    if not total:
        return ""
    share = f", {100 * total / facts.total:.1f} % of the time" if facts.total else ""
    longest = sorted(seconds.items(), key=lambda item: -item[1])
    by_check = ", ".join(f"{name} {duration(spent)}" for name, spent in longest if spent >= BRIEF)
    return f"{duration(total)}{share} ({by_check})"


def records(health: Health) -> list[dict[str, Any]]:
    """One record for each examination; numbers are None if it was not run."""
    return [_record(record) for record in health.records]


def _record(record: Record) -> dict[str, Any]:
    finding, examination = record.finding, record.examination
    number = None if finding is None else finding.measured
    return {
        "net": dict(examination.net),
        "attack": examination.attack,
        "at": dict(examination.swept),
        "check": examination.check,
        "gates": record.gates,
        "value": None if number is None else number.value,
        "low": None if number is None else number.low,
        "high": None if number is None else number.high,
        "n": None if number is None else number.n,
        "threshold": None if finding is None else finding.threshold,
        "status": record.status,
        "reason": "" if finding is None else finding.reason,
        "hint": "" if finding is None else finding.hint,
        "survivors": None if finding is None else finding.survivors,
        "seconds": record.seconds,
    }
