"""Where the numbers come from: what was computed, on what, with what, in what time, and how to do it again."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from invspec.analysis.readings import Store
from invspec.perform.bits import BROKEN, PROMISED
from invspec.plan.planner import Plan
from invspec.registry.cards import papers
from invspec.spec.resolved import Spec
from invspec.tasks import Task, verb


@dataclass(frozen=True)
class Provenance:
    """Facts for the foot of a report. versions: every distinct device, version and commit; finished is the last.

    bits: a clause about batch size, empty where it was not checked.
    """

    done: int
    tasks: int
    seconds: dict[str, float]
    versions: dict[str, tuple[str, ...]]
    finished: str
    precision: str
    bits: str
    seeds: tuple[int, ...]
    command: str

    @property
    def total(self) -> float:
        """Seconds of everything."""
        return sum(self.seconds.values())


def gather(planned: Plan, store: Store) -> Provenance:
    """What the store says about a plan's finished tasks."""
    made = {task: store.made(task) for task in planned.tasks if task in store}

    def distinct(name: str) -> tuple[str, ...]:
        return tuple(sorted({str(one[name]) for one in made.values() if one.get(name)}))

    return Provenance(
        done=len(made),
        tasks=len(planned.tasks),
        seconds={kind: _sum(kind, made) for kind in ("train", "perturb", "score")},
        versions={
            name: found
            for name in ("device", "invspec", "torch", "commit")
            if (found := distinct(name))
        },
        finished=max(distinct("finished"), default=""),
        precision=planned.spec.precision,
        bits=_bits(made),
        seeds=planned.spec.seeds,
        command=command(planned.spec),
    )


def _sum(kind: str, made: dict[Task, dict[str, Any]]) -> float:
    return sum(float(one.get("seconds", 0)) for task, one in made.items() if verb(task) == kind)


def _bits(made: dict[Task, dict[str, Any]]) -> str:
    """Whether results depend on batch size, in words; nothing where an attack of an older version did not check it."""
    promises = {
        str(facts.get("bits", "")) for task, facts in made.items() if verb(task) == "perturb"
    }
    if reasons := sorted(
        promise.removeprefix(BROKEN) for promise in promises if promise.startswith(BROKEN)
    ):
        return f"batch size may change last bits: {'; '.join(reasons)}"
    return "results do not depend on batch size (checked)" if promises == {PROMISED} else ""


def seconds(store: Store, tasks: Iterable[Task]) -> float | None:
    """What tasks took together; None where one of them is not there."""
    listed = list(tasks)
    if not all(task in store for task in listed):
        return None
    return sum(float(store.made(task).get("seconds", 0)) for task in listed)


def duration(seconds: float) -> str:
    """Seconds as a person says them: 0.3 s, 41 s, 5 min 10 s, 2 h 3 min."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def citation(spec: Spec) -> str:
    """The paper of a spec: authors (year). title. venue."""
    paper = papers().get(spec.paper or "")
    if paper is None:
        return ""
    return (
        f"{paper.authors} ({paper.year}). {paper.title}.{f' {paper.venue}.' if paper.venue else ''}"
    )


def command(spec: Spec) -> str:
    """What to type for the same numbers: the spec, its scale and the settings that were laid over it."""
    return shlex.join(["invspec", "run", spec.source.name, *spec.options])


def spec_text(spec: Spec) -> str:
    """The spec as it was run, scale and settings included."""
    return yaml.safe_dump(
        spec.source.values, sort_keys=False, allow_unicode=True, width=100, default_flow_style=None
    )
