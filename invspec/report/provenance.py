"""Provenance of a report: tasks, devices, times, versions, and the command that repeats the run."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import yaml

from invspec.analysis.readings import Artifacts
from invspec.execution.store import VERBS
from invspec.perform.bits import BROKEN, PROMISED
from invspec.plan.cells import Plan
from invspec.registry.cards import papers
from invspec.spec.resolved import Spec
from invspec.tasks import Perturb, Task, verb

# facts of made.json that a report shows, in its order, with their names there
VERSIONS = ("device", "invspec", "commit", "torch")
SURROUNDINGS = {
    "python": "Python",
    "numpy": "numpy",
    "torchvision": "torchvision",
    "cpu": "CPU",
    "os": "OS",
}
DEFAULT_STORE = "store"


@dataclass(frozen=True)
class Call:
    """The folders of a command, as they were given: of own methods, of results and of data."""

    registry: tuple[str, ...] = ()
    store: str = DEFAULT_STORE
    data: str | None = None

    @property
    def words(self) -> list[str]:
        """The options that give them; none for what is the default."""
        registries = [word for folder in self.registry for word in ("--registry", folder)]
        store = [] if self.store == DEFAULT_STORE else ["--store", self.store]
        return [*registries, *store, *(["--data", self.data] if self.data else [])]


@dataclass(frozen=True)
class Provenance:
    """Facts for the end of a report.

    seconds: by kind of task. versions: all distinct devices, versions and commits, a commit with
    uncommitted changes marked. surroundings: those of Python, its packages, CPUs and systems.
    peak_memory, peak_device_memory: bytes of the task that needed most, 0 if unknown. finished:
    when the last task finished. chosen: the precisions that the spec leaves to a measurement. bits:
    whether results depend on batch size, empty if not checked.
    """

    done: int
    tasks: int
    seconds: dict[str, float]
    versions: dict[str, tuple[str, ...]]
    surroundings: dict[str, tuple[str, ...]]
    peak_memory: int
    peak_device_memory: int
    finished: str
    precision: str
    chosen: tuple[str, ...]
    bits: str
    seeds_by_dataset: dict[str, tuple[int, ...]]
    command: str

    @property
    def total(self) -> float:
        """Seconds of all tasks together."""
        return sum(self.seconds.values())


def gather(plan: Plan, store: Artifacts, call: Call | None = None) -> Provenance:
    """The provenance of a plan's finished tasks, as a command with some folders shows it."""
    made = {task: store.made(task) for task in plan.tasks if task in store}

    def distinct(name: str) -> tuple[str, ...]:
        return tuple(sorted({str(facts[name]) for facts in made.values() if facts.get(name)}))

    versions = {name: distinct(name) for name in VERSIONS}
    versions["commit"] = tuple(sorted({_commit(facts) for facts in made.values()} - {""}))
    around = {heading: distinct(name) for name, heading in SURROUNDINGS.items()}
    return Provenance(
        done=len(made),
        tasks=len(plan.tasks),
        seconds={kind: _seconds_of(kind, made) for kind in VERBS},
        versions={name: values for name, values in versions.items() if values},
        surroundings={name: values for name, values in around.items() if values},
        peak_memory=_most("peak_memory", made),
        peak_device_memory=_most("peak_device_memory", made),
        finished=max(distinct("finished"), default=""),
        precision=_precision(plan),
        chosen=tuple(f"{precision} to {question}" for question, precision in plan.answers.items()),
        bits=_bits(made),
        seeds_by_dataset=plan.spec.seeds_by_dataset,
        command=command(plan.spec, call or Call()),
    )


def _commit(facts: dict[str, Any]) -> str:
    commit = str(facts.get("commit") or "")
    return f"{commit} (edited)" if commit and facts.get("edited") else commit


def _most(name: str, made: dict[Task, dict[str, Any]]) -> int:
    return max((int(facts.get(name, 0)) for facts in made.values()), default=0)


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


def command(spec: Spec, call: Call) -> str:
    """The command that computes the same numbers from the same folder, quoted for a shell."""
    path = spec.source.name
    # else it would look like an option
    path = f"./{path}" if path.startswith("-") else path
    return shlex.join(["invspec", "run", path, *spec.options, *call.words])


def spec_text(spec: Spec) -> str:
    """The spec as it was run, with scale and settings applied, as YAML."""
    style: dict[str, Any] = {"sort_keys": False, "allow_unicode": True, "default_flow_style": None}
    return yaml.safe_dump(spec.source.values, width=100, **style)
