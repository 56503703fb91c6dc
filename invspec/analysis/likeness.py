"""Which tasks are alike, so that what some took says what another will take.

Two tasks may be alike in four ways, the closest first. In all of them the data set is the same but
for its size. A task's amount of work is its examples times the updates or steps for each of them.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast

Closeness = Literal["seed", "scale", "settings", "kind"]

# The same but for their seed; but for their scale, too; methods of the same classes with other
# settings, on the same net; the same on a net of the same class.
CLOSENESS: tuple[Closeness, ...] = ("seed", "scale", "settings", "kind")

# fields that multiply the work of a method
PASSES = ("epochs", "steps", "restarts", "rounds")
# methods in another that do not run on every batch
OCCASIONAL = ("fallback", "probe")
# other fields that only say how much there is to do
SIZES = ("examples", "train", "val", "test", "limit", "per_class")

# What alike tasks have in common, as texts; the first is how close they are.
Likeness = tuple[str, ...]


@dataclass(frozen=True)
class Work:
    """What a task does: one likeness for each CLOSENESS, and its amount."""

    likenesses: tuple[Likeness, ...]
    amount: float


@dataclass(frozen=True)
class Described:
    """The plain value of a method or sample as text: all of it, without its scale, its classes.

    passes is how often it visits each example.
    """

    exact: str
    unscaled: str
    kinds: str
    passes: float


@dataclass(frozen=True)
class Training:
    """The parts of a training; examples is the number that it learns from.

    features is the training of the net whose features it compares, if that is not its own.
    """

    dataset: Described
    model: Described
    defence: Described
    examples: int
    features: Training | None = None


@dataclass(frozen=True)
class Search:
    """The parts of an attack on some examples.

    starts: "smaller" if it starts from its result in a smaller set, "moved" if it only judges the
    images of another net, else empty.
    """

    training: Training
    attack: Described
    sample: Described
    precision: str
    starts: str
    examples: int


@dataclass(frozen=True)
class Scoring:
    """The parts of a score: the attacks that it judges, one search for each of their parts."""

    measure: Described
    searches: tuple[Search, ...]
    has_oracle: bool


@dataclass(frozen=True)
class Examination:
    """The parts of an examination: the net, the attack on it if it is about one, the images."""

    check: Described
    training: Training
    attack: Described | None
    examples: int


def described(body: Any) -> Described:
    """Describe a plain value, as a task's canonical text holds it."""
    return Described(_text(body), _text(body, PASSES + SIZES), _text(_kinds(body)), passes(body))


def passes(body: Any) -> float:
    """How often a method visits each example: epochs or steps, times those of methods in it."""
    if not isinstance(body, dict):
        return 1.0
    fields = _fields(cast(dict[str, Any], body))
    own = math.prod(max(1, fields[name]) for name in PASSES if _is_count(fields.get(name)))
    regular = {name: value for name, value in fields.items() if name not in OCCASIONAL}
    return own * (1 + sum(map(passes, _methods(regular))))


def work(parts: Training | Search | Scoring | Examination) -> Work:
    """The likenesses and the amount of work of a task."""
    match parts:
        case Training():
            amount, texts = parts.examples * parts.defence.passes, _training_texts(parts)
        case Search():
            amount, texts = parts.examples * parts.attack.passes, _search_texts(parts)
        case Scoring():
            examples = sum(search.examples for search in parts.searches)
            amount, texts = examples * parts.measure.passes, _scoring_texts(parts)
        case Examination():
            amount, texts = parts.examples * parts.check.passes, _examination_texts(parts)
    verb = type(parts).__name__
    named = zip(CLOSENESS, texts, strict=True)
    return Work(tuple((close, verb, *text) for close, text in named), max(amount, 1.0))


def _training_texts(parts: Training) -> tuple[Likeness, ...]:
    dataset, model, defence = parts.dataset, parts.model, parts.defence
    texts = (
        (dataset.exact, model.exact, defence.exact),
        (dataset.unscaled, model.exact, defence.unscaled),
        (dataset.unscaled, model.exact, defence.kinds),
        (dataset.unscaled, model.kinds, defence.kinds),
    )
    if parts.features is None:
        return texts
    # what a pass of the second net costs depends on its architecture, not on how it was trained
    models = [text[1] for text in _training_texts(parts.features)]
    return tuple((*text, second) for text, second in zip(texts, models, strict=True))


def _search_texts(parts: Search) -> tuple[Likeness, ...]:
    attack, sample, training = parts.attack, parts.sample, _training_texts(parts.training)
    how = (parts.precision, parts.starts)
    return (
        (*training[0], attack.exact, sample.exact, *how),
        (*training[1], attack.unscaled, sample.unscaled, *how),
        # how a net was trained hardly changes what its passes cost
        (*training[2][:2], attack.kinds, *how),
        (*training[3][:2], attack.kinds, *how),
    )


def _scoring_texts(parts: Scoring) -> tuple[Likeness, ...]:
    measure, first = parts.measure, parts.searches[0]
    training, oracle = _training_texts(first.training), str(parts.has_oracle)
    attacks = dict.fromkeys((search.attack, search.sample) for search in parts.searches)
    exact = [text for pair in attacks for text in (pair[0].exact, pair[1].exact)]
    unscaled = [text for pair in attacks for text in (pair[0].unscaled, pair[1].unscaled)]
    return (
        (*training[0], measure.exact, oracle, *exact),
        (*training[1], measure.unscaled, oracle, *unscaled),
        (*training[2][:2], measure.kinds, oracle),
        (*training[3][:2], measure.kinds, oracle),
    )


def _examination_texts(parts: Examination) -> tuple[Likeness, ...]:
    check, training, attack = parts.check, _training_texts(parts.training), parts.attack
    exact, unscaled, kinds = (attack.exact, attack.unscaled, attack.kinds) if attack else ("",) * 3
    return (
        (*training[0], check.exact, exact),
        (*training[1], check.unscaled, unscaled),
        (*training[2][:2], check.kinds, kinds),
        (*training[3][:2], check.kinds, kinds),
    )


def _text(body: Any, without: Sequence[str] = ()) -> str:
    return json.dumps(_kept(body, without), sort_keys=True)


def _kept(body: Any, without: Sequence[str]) -> Any:
    """A plain value without some fields and, as in a canonical text, without None."""
    if isinstance(body, dict):
        items = cast(dict[str, Any], body).items()
        return {
            name: _kept(value, without)
            for name, value in items
            if value is not None and name not in without
        }
    if isinstance(body, list):
        return [_kept(item, without) for item in cast(list[Any], body)]
    return body


def _kinds(body: Any) -> Any:
    """The class of a method, and those of the methods in it."""
    if not isinstance(body, dict) or "class" not in body:
        return None
    method = cast(dict[str, Any], body)
    return [method["class"], *map(_kinds, _methods(_fields(method)))]


def _fields(body: Mapping[str, Any]) -> Mapping[str, Any]:
    return body.get("fields", body)


def _methods(fields: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    for _, value in sorted(fields.items()):
        values = cast(list[Any], value) if isinstance(value, list) else [value]
        yield from (item for item in values if isinstance(item, dict) and "class" in item)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)
