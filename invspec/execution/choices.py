"""The precisions that runs chose where specs say auto: <root>/precision/<digest>.json.

A run measures each question once for a store; whoever comes later reads the answer: other runs, on
whatever machine, and all commands that need the keys of tasks. If two runs measure at once, the
first file stays, and both go by it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, get_args

from invspec.errors import InvspecError
from invspec.execution import disk, exclusive
from invspec.kinds import Precision, plain
from invspec.plan.precisions import Question

FOLDER = "precision"
# seconds until a file that another run has just created has its content
PATIENCE = 2.0


@dataclass(frozen=True)
class Choice:
    """The answer to a question, and the milliseconds of a step by precision that led to it.

    disagree: precisions whose results differ too much from those in float32.
    """

    precision: Precision
    milliseconds: dict[str, float]
    disagree: tuple[str, ...]
    batch_size: int
    device: str
    torch: str
    measured: str

    @property
    def reason(self) -> str:
        """What was measured, in words: measured 41 against 66 ms a step."""
        if self.precision != "float32":
            return f"measured {self._against(self.precision, 'float32')}"
        others = [self._refusal(name) for name in self.milliseconds if name != "float32"]
        return f"measured {' and '.join(others)}" if others else "a step cannot be measured"

    def _against(self, name: str, other: str) -> str:
        times = self.milliseconds
        return f"{times[name]:.3g} against {times[other]:.3g} ms a step"

    def _refusal(self, name: str) -> str:
        disagrees = ", which disagrees" if name in self.disagree else ""
        return f"{self._against('float32', name)} in {name}{disagrees}"


# what measures the answer to a question on a device
Measure = Callable[[Question, str], Choice]


@dataclass(frozen=True)
class Choices:
    """The choices of the store in a folder."""

    root: Path

    def path(self, question: Question) -> Path:
        """The file of a question: named by the work, the model and the shape, not by the rest."""
        text = json.dumps(_subject(question), sort_keys=True, allow_nan=False)
        return self.root / FOLDER / f"{hashlib.sha256(text.encode()).hexdigest()[:40]}.json"

    def read(self, question: Question) -> Choice | None:
        """The choice, None if there is none. Raises InvspecError if its file is damaged."""
        path = self.path(question)
        if not path.exists():
            disk.look_again(str(path.parent), str(self.root))
        return _content(path) if path.exists() else None

    def answer(self, question: Question) -> Precision:
        """The precision that was chosen; float32 as long as none was."""
        choice = self.read(question)
        return "float32" if choice is None else choice.precision

    def sentences(self, questions: Iterable[Question]) -> Iterator[str]:
        """For every question a line that says what was chosen, and why."""
        for question in questions:
            choice = self.read(question)
            if choice is None:
                yield f"precision: auto to {question} (measured by a run; float32 until then)"
            else:
                yield f"precision: {choice.precision} to {question} ({choice.reason})"

    def settle(self, question: Question, device: str, measure: Measure) -> Choice:
        """The choice; it is measured if there is none. Raises Unwritable if it cannot be saved."""
        return self.read(question) or self._saved(question, measure(question, device))

    def _saved(self, question: Question, choice: Choice) -> Choice:
        path, body = self.path(question), {**_subject(question), **asdict(choice)}
        with disk.writing(self.root):
            if exclusive.create(path, f"{json.dumps(body, indent=1, allow_nan=False)}\n".encode()):
                disk.flush_all((path, path.parent))
                return choice
        # another run was first
        return _content(path)


def _subject(question: Question) -> dict[str, Any]:
    """What a choice holds for, as JSON."""
    return {
        "work": question.work,
        "model": plain(question.model),
        "shape": list(question.shape),
    }


def _content(path: Path) -> Choice:
    """The choice in a file that exists."""
    if not disk.appears(lambda: _parsed(path) is not None, PATIENCE):
        raise InvspecError(f"{path} is damaged", hint="delete it; the next run measures again")
    choice = _parsed(path)
    assert choice is not None, f"{path} lost its content"
    return choice


def _parsed(path: Path) -> Choice | None:
    """The choice in a file, None if it holds none, or not yet."""
    try:
        body = json.loads(exclusive.read(path) or b"")
        values: dict[str, Any] = {field.name: body[field.name] for field in fields(Choice)}
        values["disagree"] = tuple(values["disagree"])
        choice = Choice(**values)
    except (ValueError, KeyError, TypeError):
        return None
    return choice if choice.precision in get_args(Precision) else None
