"""The work of tasks: of those of a plan, and of those that a store has from other plans."""

from __future__ import annotations

import json
from collections.abc import Container, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from invspec.analysis.likeness import (
    Described,
    Examination,
    Scoring,
    Search,
    Training,
    Work,
    described,
    work,
)
from invspec.errors import InvspecError
from invspec.execution.store import Store
from invspec.kinds import Dataset, plain
from invspec.tasks import Examine, Perturb, Score, Task, Train

# Maximum number of other tasks of a verb that are looked at. Keys are hashes, so that the first
# ones are a random sample.
MOST_OTHERS = 5_000

UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError)


class Descriptions:
    """The work of tasks at hand. A plan shares its methods, and each is described once."""

    def __init__(self) -> None:
        # by identity, with what was described, so that it stays alive
        self._described: dict[int, tuple[Any, Described]] = {}
        self._trainings: dict[Train, Training] = {}
        self._searches: dict[Perturb, Search] = {}
        # training examples of data sets, by their exact text
        self.counts: dict[str, int] = {}

    def work(self, task: Task) -> Work:
        """The work of a task."""
        match task:
            case Train():
                return work(self._training(task))
            case Perturb():
                return work(self._search(task))
            case Score():
                return work(self._scoring(task))
            case Examine():
                return work(self._examination(task))

    def _training(self, task: Train) -> Training:
        if task not in self._trainings:
            self._trainings[task] = Training(
                self._describe(task.dataset),
                self._describe(task.model),
                self._describe(task.defence),
                self._examples(task),
                None if task.features is None else self._training(task.features),
            )
        return self._trainings[task]

    def _examples(self, task: Train) -> int:
        """The number of training examples; 1 if the defence has no epochs, as it loads weights."""
        if not hasattr(task.defence, "epochs"):
            return 1
        name = self._describe(task.dataset).exact
        if name not in self.counts:
            self.counts[name] = _count(task.dataset)
        most: int | None = getattr(task.defence, "examples", None)
        return min(self.counts[name], most or self.counts[name])

    def _search(self, task: Perturb) -> Search:
        if task not in self._searches:
            start, stop = task.part
            self._searches[task] = Search(
                self._training(task.train),
                self._describe(task.attack),
                self._describe(task.sample),
                task.precision,
                _start(task.after is not None, task.source is not None),
                stop - start,
            )
        return self._searches[task]

    def _scoring(self, task: Score) -> Scoring:
        searches = tuple(self._search(part) for parts in task.of for part in parts)
        return Scoring(self._describe(task.measure), searches, task.oracle is not None)

    def _examination(self, task: Examine) -> Examination:
        attack = self._describe(task.of[0].attack) if task.of else None
        check, training = self._describe(task.check), self._training(task.train)
        return Examination(check, training, attack, task.images)

    def _describe(self, value: Any) -> Described:
        if id(value) not in self._described:
            self._described[id(value)] = (value, described(plain(value)))
        return self._described[id(value)][1]


def _start(has_smaller: bool, has_source: bool) -> str:
    """From what an attack starts, as a Search names it."""
    return "moved" if has_source else "smaller" if has_smaller else ""


def _count(dataset: Dataset) -> int:
    """The number of training examples, 0 if they are missing: the run will say so."""
    try:
        return dataset.count("train")
    except InvspecError:
        return 0


@dataclass
class History:
    """The finished tasks of a store, read from their canonical texts.

    counts are the training examples of data sets, by their exact text; trainings on others are
    unknown unless they say it themselves.
    """

    store: Store
    counts: dict[str, int]

    def __post_init__(self) -> None:
        self.is_cut = False
        self._described: dict[str, Described] = {}
        self._known: dict[str, Training | Search | None] = {}

    def others(self, verb: str, known: Container[str]) -> Iterator[tuple[Path, Work]]:
        """Folders of finished tasks whose key is not known, with their work.

        Those that cannot be read are left out, and those on unknown data. Sets is_cut if there are
        more than MOST_OTHERS.
        """
        folders = (folder for folder in self.store.finished(verb) if folder.name not in known)
        for place, folder in enumerate(folders):
            if place == MOST_OTHERS:
                self.is_cut = True
                return
            with suppress(*UNREADABLE):
                yield folder, work(self._parts(verb, folder.name))

    def _parts(self, verb: str, key: str) -> Training | Search | Scoring | Examination:
        """The parts of a task. Others name trainings and attacks, so these are kept."""
        if verb == "score":
            return self._scoring(self._body(verb, key))
        if verb == "examine":
            return self._examination(self._body(verb, key))
        if key not in self._known:
            # so that what cannot be read is not read again
            self._known[key] = None
            read = self._training if verb == "train" else self._search
            self._known[key] = read(self._body(verb, key))
        if (parts := self._known[key]) is None:
            raise ValueError(f"{verb} {key} cannot be read")
        return parts

    def _body(self, verb: str, key: str) -> Any:
        return json.loads((self.store.at(verb, key) / "task.json").read_text(encoding="utf-8"))

    def _training(self, body: Any) -> Training:
        defence = body["defence"]
        return Training(
            self._describe(body["dataset"]),
            self._describe(body["model"]),
            self._describe(defence),
            self._examples(body["dataset"], defence["fields"]),
            cast(Training, self._parts("train", body["features"])) if "features" in body else None,
        )

    def _examples(self, dataset: Any, settings: Any) -> int:
        if "epochs" not in settings:
            return 1
        name = self._describe(dataset).exact
        stated = (self.counts.get(name, dataset["fields"].get("train")), settings.get("examples"))
        return min(int(number) for number in stated if number is not None)

    def _search(self, body: Any) -> Search:
        start, stop = body["part"]
        return Search(
            cast(Training, self._parts("train", body["train"])),
            self._describe(body["attack"]),
            self._describe(body["sample"]),
            body["precision"],
            _start("after" in body, "source" in body),
            stop - start,
        )

    def _scoring(self, body: Any) -> Scoring:
        searches = (self._parts("perturb", part) for parts in body["of"] for part in parts)
        return Scoring(
            self._describe(body["measure"]),
            tuple(cast(Search, search) for search in searches),
            "oracle" in body,
        )

    def _examination(self, body: Any) -> Examination:
        of = [cast(Search, self._parts("perturb", part)) for part in body["of"]]
        return Examination(
            self._describe(body["check"]),
            cast(Training, self._parts("train", body["train"])),
            of[0].attack if of else None,
            int(body["images"]),
        )

    def _describe(self, body: Any) -> Described:
        text = json.dumps(body, sort_keys=True)
        if text not in self._described:
            self._described[text] = described(body)
        return self._described[text]
