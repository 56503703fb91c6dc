"""What a report in JSON says of its own making, and how a second report of it differs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invspec import sources
from invspec.errors import SpecError, first_line
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.plan.precisions import Answer, Question
from invspec.report import provenance
from invspec.report.columns import BESIDE, CELL, VALUES
from invspec.report.provenance import Call
from invspec.spec import document
from invspec.spec.resolve import resolve

# what is compared of a cell, beside its coordinates, and of a claim
NUMBERS = ("key", *VALUES, *BESIDE, "doubts")
VERDICT = ("outcome", "value", "low", "high")
# of a cell or of a claim, as JSON holds it
Record = Mapping[str, Any]
REWRITE = "write it with `invspec report SPEC --format json`"


def recipe(plan: Plan, call: Call) -> dict[str, Any]:
    """What is needed to make a report again: the spec as it was run, its folders, its choices."""
    spec, digests = plan.spec, sources.registered()
    return {
        "spec": provenance.spec_text(spec),
        "name": Path(spec.source.name).name,
        "options": list(spec.options),
        "registry": [
            {"folder": folder, "sha256": digests.get(Path(folder).resolve())}
            for folder in call.registry
        ],
        "data": call.data,
        "precisions": [[str(question), answer] for question, answer in plan.answers.items()],
    }


@dataclass(frozen=True)
class Recorded:
    """A report that was read from a file."""

    path: Path
    body: Mapping[str, Any]

    @property
    def recipe(self) -> Mapping[str, Any]:
        """As `recipe` wrote it."""
        return self.body["recipe"]

    @property
    def registry(self) -> list[Path]:
        """The folders of own cards that it was made with."""
        return [Path(entry["folder"]) for entry in self.recipe["registry"]]

    @property
    def data(self) -> Path | None:
        """The folder of data that it was made with."""
        return Path(self.recipe["data"]) if self.recipe["data"] else None

    def plan(self, otherwise: Answer) -> Plan:
        """The plan of its spec. Precisions that it does not give are asked for.

        Raises: SpecError if the spec is wrong, such as without the registry of its methods.
        """
        source = document.parse(self.recipe["spec"], self.recipe["name"])
        options = [str(option) for option in self.recipe["options"]]
        is_smoke = options[-1:] == ["--smoke"]
        spec = replace(resolve(source), options=tuple(options[:-1] if is_smoke else options))
        return planner.plan(spec.smoke() if is_smoke else spec, self._answer(otherwise))

    def _answer(self, otherwise: Answer) -> Answer:
        """The choices as they were recorded, in the order in which a plan asks."""
        recorded: defaultdict[str, list[Any]] = defaultdict(list)
        for question, answer in self.recipe["precisions"]:
            recorded[question].append(answer)

        def answer(question: Question) -> Any:
            known = recorded[str(question)]
            return known.pop(0) if known else otherwise(question)

        return answer


def read(path: Path) -> Recorded:
    """Read a report. Raises SpecError if it is no report in JSON that can be made again."""
    try:
        recorded = Recorded(path, json.loads(path.read_bytes()))
        has_numbers = _is_usable(recorded)
    except OSError as problem:
        message = f"cannot be read: {problem.strerror}"
        raise SpecError(message, where=str(path), hint="expected a report in JSON") from None
    except ValueError as problem:
        message = f"not JSON: {first_line(problem)}"
        raise SpecError(message, where=str(path), hint=REWRITE) from None
    except (KeyError, TypeError, AttributeError) as problem:
        message = f"not a report that can be made again ({problem!r})"
        raise SpecError(message, where=str(path), hint=REWRITE) from None
    if not has_numbers:
        raise SpecError("the report has no numbers to compare", where=str(path), hint=REWRITE)
    return recorded


def _is_usable(recorded: Recorded) -> bool:
    """Whether a report has numbers. Raises KeyError and the like if a part is missing or odd."""
    body, parts = recorded.body, recorded.recipe
    texts = [parts["spec"], parts["name"], *parts["options"], *map(str, recorded.registry)]
    texts += [text for pair in parts["precisions"] for text in pair]
    texts += [claim[name] for claim in body["claims"] for name in ("says", "outcome")]
    if odd := [text for text in texts if not isinstance(text, str)]:
        raise TypeError(f"expected text, found {odd[0]!r}")
    _ = recorded.data
    # what can be compared with itself can be compared with a repetition
    return compare(body, body).cells > 0


@dataclass(frozen=True)
class Comparison:
    """How the numbers of two reports differ, in sentences, and what may explain it.

    cells, claims: the numbers of those that were compared. lacking_cells, lacking_claims: of those
    for which the recorded report has no number.
    """

    cells: int
    claims: int
    lacking_cells: int
    lacking_claims: int
    differences: tuple[str, ...]
    reasons: tuple[str, ...]


def compare(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Comparison:
    """Compare a recorded report with its repetition, both as JSON holds them."""
    cells, claims = _cells(ours["cells"]), _claims(ours["claims"])
    known = _cells(filter(_has_value, theirs["cells"]))
    decided = _claims(claim for claim in theirs["claims"] if claim["outcome"] != "missing")
    return Comparison(
        cells=len(known),
        claims=len(decided),
        lacking_cells=len(cells.keys() - known.keys()),
        lacking_claims=len(claims.keys() - decided.keys()),
        differences=(*_differences(known, cells), *_differences(decided, claims)),
        reasons=tuple(_reasons(theirs, ours)),
    )


def _has_value(cell: Record) -> bool:
    # an infinite value is null in JSON, as a missing one is, but it has a number of examples
    return cell.get("value") is not None or cell.get("n") is not None


def _cells(cells: Iterable[Record]) -> dict[str, Record]:
    """What is compared of each cell, by its coordinates."""
    return _numbered(
        (
            ", ".join(f"{name} {cell[name]}" for name in cell if name not in CELL),
            {name: cell.get(name) for name in NUMBERS},
        )
        for cell in cells
    )


def _claims(claims: Iterable[Record]) -> dict[str, Record]:
    """What is compared of each claim, by its sentence."""
    return _numbered((f"claim {claim['says']!r}", dict(_verdict(claim))) for claim in claims)


def _verdict(claim: Record, part: str = "") -> Iterator[tuple[str, Any]]:
    """The verdict of a claim, then those of its premises and alternatives."""
    yield from ((f"{name}{part}", claim.get(name)) for name in VERDICT)
    for kind in ("premise", "alternative"):
        for place, inner in enumerate(claim.get(f"{kind}s", ()), 1):
            yield from _verdict(inner, f" of {kind} {place}{part}")


def _numbered(named: Iterable[tuple[str, Record]]) -> dict[str, Record]:
    """Records by their names, numbered where these repeat."""
    counts: Counter[str] = Counter()
    numbered: dict[str, Record] = {}
    for name, record in named:
        counts[name] += 1
        numbered[name if counts[name] == 1 else f"{name} ({counts[name]})"] = record
    return numbered


def _differences(theirs: Mapping[str, Record], ours: Mapping[str, Record]) -> Iterator[str]:
    """How records of the same name differ."""
    for name, there in theirs.items():
        if name not in ours:
            yield f"{name}: not in the report here"
            continue
        here = ours[name]
        for field in dict.fromkeys((*there, *here)):
            if there.get(field) != here.get(field):
                values = f"{_shown(there.get(field))} there, {_shown(here.get(field))} here"
                yield f"{name}: {field} {values}"


def _shown(value: Any) -> str:
    if value is None or value == "":
        return "nothing"
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else str(value)


def _reasons(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Iterator[str]:
    """Versions, machines, choices and own code that differ."""
    there, here = _facts(theirs), _facts(ours)
    for name in dict.fromkeys((*there, *here)):
        if there.get(name) != here.get(name):
            yield f"{name}: {there.get(name, 'unknown')} there, {here.get(name, 'unknown')} here"
    digests = [
        {Path(entry["folder"]).name: entry["sha256"] for entry in body["recipe"]["registry"]}
        for body in (theirs, ours)
    ]
    for name in digests[0]:
        if digests[0][name] != digests[1].get(name):
            yield f"own code in {name}: another digest than when the report was made"


def _facts(body: Mapping[str, Any]) -> dict[str, str]:
    made = body["provenance"]
    facts = {**made["versions"], **made.get("surroundings", {})}
    return {name: ", ".join(map(str, values)) for name, values in facts.items()}
