"""Provenance of a report: tasks, devices, times, versions, and the command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from invspec.analysis.readings import Artifacts
from invspec.perform.bits import BROKEN, PROMISED
from invspec.plan.cells import Plan
from invspec.registry.cards import papers
from invspec.spec.resolved import Spec
from invspec.tasks import Perturb, Task, verb

KINDS = ("train", "perturb", "score", "examine")


@dataclass(frozen=True)
class Provenance:
    """Facts for the end of a report.

    seconds: by kind of task. versions: all distinct devices, versions and commits. finished: when
    the last task finished. chosen: the precisions that the spec leaves to a measurement. bits:
    whether results depend on batch size, empty if not checked.
    """

    done: int
    tasks: int
    seconds: dict[str, float]
    versions: dict[str, tuple[str, ...]]
    finished: str
    precision: str
    chosen: tuple[str, ...]
    bits: str
    seeds: tuple[int, ...]
    command: str

    @property
    def total(self) -> float:
        """Seconds of all tasks together."""
        return sum(self.seconds.values())


def gather(plan: Plan, store: Artifacts) -> Provenance:
    """The provenance of a plan's finished tasks."""
    made = {task: store.made(task) for task in plan.tasks if task in store}

    def distinct(name: str) -> tuple[str, ...]:
        return tuple(sorted({str(facts[name]) for facts in made.values() if facts.get(name)}))

    versions = {name: distinct(name) for name in ("device", "invspec", "torch", "commit")}
    return Provenance(
        done=len(made),
        tasks=len(plan.tasks),
        seconds={kind: _seconds_of(kind, made) for kind in KINDS},
        versions={name: values for name, values in versions.items() if values},
        finished=max(distinct("finished"), default=""),
        precision=_precision(plan),
        chosen=tuple(f"{precision} to {question}" for question, precision in plan.answers.items()),
        bits=_bits(made),
        seeds=plan.spec.seeds,
        command=command(plan.spec),
    )


def _precision(plan: Plan) -> str:
    """The precision in which attacks search, or several of them where it was chosen per model."""
    if plan.spec.precision != "auto":
        return plan.spec.precision
    names = {task.precision for task in plan.tasks if isinstance(task, Perturb)}
    return " and ".join(sorted(names))


def _seconds_of(kind: str, made: dict[Task, dict[str, Any]]) -> float:
    return sum(float(facts.get("seconds", 0)) for task, facts in made.items() if verb(task) == kind)


def _bits(made: dict[Task, dict[str, Any]]) -> str:
    """Whether results depend on batch size; empty if some attack was made without the check."""
    promises = {
        str(facts.get("bits", "")) for task, facts in made.items() if verb(task) == "perturb"
    }
    broken = (promise for promise in promises if promise.startswith(BROKEN))
    if reasons := sorted(promise.removeprefix(BROKEN) for promise in broken):
        return f"batch size may change last bits: {'; '.join(reasons)}"
    return "results do not depend on batch size (checked)" if promises == {PROMISED} else ""


def seconds(store: Artifacts, tasks: Iterable[Task]) -> float | None:
    """Seconds of some tasks together; None if one of them is not computed."""
    tasks = list(tasks)
    if not all(task in store for task in tasks):
        return None
    return sum(float(store.made(task).get("seconds", 0)) for task in tasks)


def citation(spec: Spec) -> str:
    """The paper of a spec: authors (year). title. venue. Empty if it names none."""
    paper = papers().get(spec.paper or "")
    if paper is None:
        return ""
    venue = f" {paper.venue}." if paper.venue else ""
    return f"{paper.authors} ({paper.year}). {paper.title}.{venue}"


def command(spec: Spec) -> str:
    """The command that computes the same numbers: the spec, its scale and settings."""
    return shlex.join(["invspec", "run", spec.source.name, *spec.options])


def spec_text(spec: Spec) -> str:
    """The spec as it was run, with scale and settings applied, as YAML."""
    style: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None}
    return yaml.safe_dump(spec.source.values, width=100, **style)
