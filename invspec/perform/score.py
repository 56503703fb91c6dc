"""Perform a score: read the examples of its attacks and apply the measure."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from typing import Any, cast

import torch
from torch import Tensor, nn

from invspec.data import Examples, Row, Scored, Split, judged_from, rows_of
from invspec.errors import InvspecError
from invspec.kinds import Measure, plain
from invspec.kinds.measure import Ranked
from invspec.ops.generators import seeded
from invspec.perform.kept import with_images
from invspec.perform.promises import Subject, require_equal_forms, require_oracle
from invspec.perform.proxies import left_alone, sound
from invspec.perform.results import checked
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import clean_images
from invspec.perform.selection import correct_in_all, taken, worst
from invspec.perform.words import words
from invspec.tasks import Perturb, Score, Train, draw_name

# outcomes may be out of their range by this much, as sums of shares do
ROUNDING = 1e-6


class Joined(Mapping[str, Tensor]):
    """The tensors of an attack's parts, concatenated on access."""

    def __init__(self, parts: list[Mapping[str, Tensor]]) -> None:
        self.parts = parts

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor; reads no others."""
        pieces: list[Tensor] = []
        for part, (first, end) in zip(self.parts, itertools.pairwise(self._starts), strict=True):
            if max(start, first) < min(stop, end):
                rows = (max(start, first) - first, min(stop, end) - first)
                pieces.append(rows_of(part, name, *rows))
        return torch.cat(pieces)

    @cached_property
    def _starts(self) -> list[int]:
        """The row at which each part begins, and the number of all rows."""
        return list(itertools.accumulate((len(part["index"]) for part in self.parts), initial=0))

    def __contains__(self, name: object) -> bool:
        return name in self.parts[0]

    def __getitem__(self, name: str) -> Tensor:
        return torch.cat([part[name] for part in self.parts])

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts[0])

    def __len__(self) -> int:
        return len(self.parts[0])


def examples(parts: tuple[Perturb, ...], runtime: Runtime) -> Examples:
    """The whole output of one attack, from its parts."""
    first = parts[0]
    clean = clean_images(first)
    # parts beyond the end of a small split are empty
    loaded = [runtime.load(part).tensors for part in parts if part.part[0] < len(clean)]
    first_rows = [{name: rows_of(part, name, 0, 1).shape[1:] for name in part} for part in loaded]
    require_equal_forms(first_rows, first.attack, "part")
    tensors = Joined(loaded)
    return Examples(
        clean,
        judged_from(tensors),
        with_images(tensors, clean),
        settings_of(first),
        # a path made on another net keeps no promise on this one
        path_promise=None if first.source else first.attack.path_promise,
    )


def settings_of(task: Perturb) -> dict[str, Any]:
    """The fields of an attack and, as `before`, those of what transforms its images first."""
    before = {} if task.before is None else {"before": plain(task.before)}
    return {**plain(task.attack)["fields"], **before}


def _inputs(task: Score, model: nn.Module, runtime: Runtime) -> Iterator[Examples]:
    """What a measure reads: an attack, or the worst of several, on the examples that count."""
    counting = None
    if task.correct_in is not None:
        counting = correct_in_all([examples(parts, runtime) for parts in task.correct_in])
    for start in range(0, len(task.of), task.worst_of):
        group = task.of[start : start + task.worst_of]
        attacks = [examples(parts, runtime) for parts in group]
        if len(attacks) > 1:
            attacks = [worst(attacks, [_damage(task.measure, model, attack) for attack in attacks])]
        yield from attacks if counting is None else [taken(attack, counting) for attack in attacks]


def _damage(measure: Measure, model: nn.Module, attacked: Examples) -> Tensor:
    """How bad each result of an attack is, (N,). Raises: InvspecError if it is no such number."""
    assert isinstance(measure, Ranked), f"{type(measure).__name__} has no worst case"
    damage = cast(object, measure.damage(model, attacked))
    rows = len(attacked.judged.index)
    if not isinstance(damage, Tensor) or damage.shape != (rows,):
        kind = tuple(damage.shape) if isinstance(damage, Tensor) else f"a {type(damage).__name__}"
        raise InvspecError(
            f"damage of {words(measure)} is {kind}, expected ({rows},)",
            hint="return one number for each example: the larger, the worse",
        )
    if unknown := int(damage.isnan().sum()):
        raise InvspecError(f"damage of {words(measure)} is NaN for {unknown} of {rows} examples")
    return damage


class Absent(nn.Module):
    """In place of the net, for measures that do not want it."""

    def forward(self, x: Tensor) -> Tensor:
        """Refuse to compute."""
        raise _refusal("the measure calls the model")

    def __getattr__(self, name: str) -> Any:
        """Refuse attributes of nets. An AttributeError would look as if the net had none."""
        raise _refusal(f"the measure reads {name} of the model")


def _refusal(use: str) -> InvspecError:
    hint = "set wants_model = True in its class"
    return InvspecError(f"{use}, which it said not to want", hint=hint)


def score(task: Score, runtime: Runtime) -> Artifact:
    """Apply a measure to the examples of its attacks.

    Raises: InvspecError if a net or the oracle is no function of the image, if the oracle's logits
        are not finite, if the measure changes the net, or if a number is none.
    """
    images = clean_images(task.of[0][0])
    oracle = None if task.oracle is None else _oracle(task.oracle, images, runtime)
    with _model(task, images, runtime) as model, seeded(f"scoring {draw_name(task)}"):
        attacked = [replace(inputs, oracle=oracle) for inputs in _inputs(task, model, runtime)]
        result = task.measure.score(model, *attacked)
    scored = checked(result, Scored, task.measure)
    if not scored.rows and not scored.tensors:
        raise InvspecError(f"{words(task.measure)} returned no rows", hint="expected at least one")
    for row in scored.rows:
        _require_numbers(row, words(task.measure))
    # a file of tensors refuses views of one memory
    tensors = {name: tensor.contiguous().clone() for name, tensor in scored.tensors.items()}
    return Artifact(tensors, tuple(scored.rows))


def _oracle(train: Train, images: Split, runtime: Runtime) -> Callable[[Tensor], Tensor]:
    """A second classifier, whose answers are verified."""
    net, subject = sound(train, images, runtime), Subject.of(train)
    return lambda x: require_oracle(net(x), len(x), subject)


@contextmanager
def _model(task: Score, images: Split, runtime: Runtime) -> Generator[nn.Module]:
    """The net of a score, which a measure must leave as it is."""
    if not task.measure.wants_model:
        yield Absent()
        return
    net = sound(task.train, images, runtime)
    with left_alone(task.train, task.measure, runtime):
        yield net


def _require_numbers(row: Row, measure: str) -> None:
    """A row's numbers must be numbers, and their mean within a range that has two ends.

    Single outcomes may leave it: those of a weighted mean are contributions to it. A range with one
    end clips the mean, as that of a bound on information.
    """
    if row.interval is not None:
        low, value, high = row.interval.low, row.interval.value, row.interval.high
        if not low <= value <= high:
            raise InvspecError(
                f"{measure} returned {value:g} with the interval [{low:g}, {high:g}], expected a "
                "number within its interval"
            )
    if row.outcomes is not None and len(row.outcomes):
        average = float(row.outcomes.values.double().mean())
        low, high = row.outcomes.range
        if not (math.isfinite(low) and math.isfinite(high)):
            low, high = -math.inf, math.inf
        if not low - ROUNDING <= average <= high + ROUNDING:
            raise InvspecError(
                f"{measure} returned outcomes of mean {average:g}, expected {low:g} to {high:g}",
                hint="a NaN is most likely a division by 0: leave such examples out",
            )
