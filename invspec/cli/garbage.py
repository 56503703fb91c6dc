"""What `invspec store gc` would delete, in words."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from invspec.errors import counted

if TYPE_CHECKING:
    from invspec.execution.store import Store

# the task that a folder holds, and the method in it that names it
NAMING = {"Train": "defence", "Perturb": "attack", "Score": "measure", "Examine": "check"}
UNREADABLE = (OSError, ValueError, KeyError, TypeError, IndexError)


def lines(store: Store, folders: Iterable[Path]) -> Iterator[str]:
    """A line for the tasks of each kind, method and net: how many there are, and their size."""
    nets = _Nets(store)
    sizes: dict[str, list[int]] = defaultdict(list)
    for folder in folders:
        size = sum(path.stat().st_size for path in folder.iterdir())
        sizes[f"{folder.parents[1].name} {nets.words(folder)}"].append(size)
    for words, own in sorted(sizes.items()):
        yield f"{words}: {counted(len(own), 'task')}, {sum(own) / 1e6:,.1f} MB"


class _Nets:
    """The words for stored tasks; the trainings that they name are read once."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._net = cache(self._read_net)

    def words(self, folder: Path) -> str:
        """PGD on LeNet, AdversarialTraining; a training is named by its net alone."""
        try:
            body = json.loads((folder / "task.json").read_text(encoding="utf-8"))
            if body["task"] == "Train":
                return _net_words(body)
            method = _class(body[NAMING[body["task"]]])
            net = self._net(self._train_of(body))
        except UNREADABLE:
            return "that cannot be read"
        return f"{method} on {net}" if net else method

    def _train_of(self, body: dict[str, Any]) -> str:
        """The key of the training behind a task."""
        if "train" in body:
            return body["train"]
        # a score names attacks, which name their training
        first = body["of"][0][0]
        return json.loads(self._file("perturb", first).read_text(encoding="utf-8"))["train"]

    def _read_net(self, key: str) -> str:
        try:
            return _net_words(json.loads(self._file("train", key).read_text(encoding="utf-8")))
        except UNREADABLE:
            # it may be gone already
            return ""

    def _file(self, verb: str, key: str) -> Path:
        return self.store.root / verb / key[:2] / key / "task.json"


def _net_words(body: dict[str, Any]) -> str:
    return f"{_class(body['model'])}, {_class(body['defence'])}"


def _class(method: dict[str, Any]) -> str:
    return str(method["class"]).split(":")[-1]
