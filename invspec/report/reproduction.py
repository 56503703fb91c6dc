"""What a report in JSON says of its own making, and how a second report of it differs."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from invspec import sources
from invspec.errors import SpecError, first_line
from invspec.plan import planner
from invspec.plan.cells import Plan
from invspec.plan.precisions import Answer, Question
from invspec.report import provenance
from invspec.report.provenance import Call
from invspec.spec import document
from invspec.spec.resolve import resolve

# parts of a cell's record that are not its coordinates
NUMBERS = ("value", "low", "high", "n")
COSTS = ("forwards", "backwards", "seconds_train", "seconds_perturb", "seconds_score")
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
    _ = recorded.data, _facts(body)
    known = [cell for cell in body["cells"] if cell["key"] and _has_value(cell)]
    return bool(known)


@dataclass(frozen=True)
class Comparison:
    """How the numbers of two reports differ, in sentences, and what may explain it."""

    cells: int
    claims: int
    lacking: int
    differences: tuple[str, ...]
    reasons: tuple[str, ...]


def compare(theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> Comparison:
    """Compare a recorded report with its repetition, both as JSON holds them."""
    cells = _numbered(ours["cells"])
    known = {name: cell for name, cell in _numbered(theirs["cells"]).items() if _has_value(cell)}
    differences = [
        *(sentence for name, cell in known.items() for sentence in _cell(name, cell, cells)),
        *_claims(theirs["claims"], ours["claims"]),
    ]
    return Comparison(
        cells=len(known),
        claims=len(theirs["claims"]),
        lacking=len(cells.keys() - known.keys()),
        differences=tuple(differences),
        reasons=tuple(_reasons(theirs, ours)),
    )


def _has_value(cell: Mapping[str, Any]) -> bool:
    # an infinite value is null in JSON, as a missing one is, but it has a number of examples
    return cell.get("value") is not None or cell.get("n") is not None


def _numbered(cells: Sequence[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Cells by their coordinates, numbered where these repeat."""
    counts: Counter[str] = Counter()
    named: dict[str, Mapping[str, Any]] = {}
    for cell in cells:
        at = {name: cell[name] for name in cell if name not in (*NUMBERS, *COSTS, "key")}
        name = ", ".join(f"{coordinate} {value}" for coordinate, value in at.items())
        counts[name] += 1
        named[name if counts[name] == 1 else f"{name} ({counts[name]})"] = cell
    return named


def _cell(
    name: str, theirs: Mapping[str, Any], cells: Mapping[str, Mapping[str, Any]]
) -> Iterator[str]:
    """How one cell differs: its key, its number, its interval."""
    if name not in cells:
        yield f"{name}: not among the numbers here"
        return
    ours = cells[name]
    for field in ("key", *NUMBERS):
        if theirs.get(field) != ours.get(field):
            there, here = _shown(theirs.get(field)), _shown(ours.get(field))
            yield f"{name}: {field} {there} there, {here} here"


def _shown(value: Any) -> str:
    return f"{value[:12]}…" if isinstance(value, str) and len(value) > 12 else str(value)


def _claims(theirs: Sequence[Any], ours: Sequence[Any]) -> Iterator[str]:
    """Claims with another verdict."""
    verdicts = {claim["says"]: claim["outcome"] for claim in ours}
    for claim in theirs:
        here = verdicts.get(claim["says"], "no claim")
        if claim["outcome"] != here:
            yield f"claim {claim['says']!r}: {claim['outcome']} there, {here} here"


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
