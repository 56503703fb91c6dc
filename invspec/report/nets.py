"""Names of nets and attacks that come from a store, where no spec labels them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from invspec.analysis.trials import Trial
from invspec.kinds import Method, Sample
from invspec.registry.nicknames import nickname
from invspec.report.settings import flat_method
from invspec.tasks import Train

T = TypeVar("T")


def names(items: Iterable[T], method: Callable[[T], Method]) -> dict[T, str]:
    """A name for each item: the card of its method, and the fields in which others of it differ."""
    listed = list(dict.fromkeys(items))
    by_card: dict[str, list[T]] = {}
    for item in listed:
        by_card.setdefault(nickname(method(item)), []).append(item)
    return {
        item: " ".join([card, *_distinct(flat_method(method(item)), own, method)])
        for card, own in by_card.items()
        for item in own
    }


def _distinct(
    fields: Mapping[str, str], items: Sequence[T], method: Callable[[T], Method]
) -> list[str]:
    """The fields of a method in which it differs from others: max_degrees 180."""
    others = [flat_method(method(item)) for item in items]
    return [
        f"{name} {value or 'none'}"
        for name, value in fields.items()
        if any(other.get(name) != value for other in others)
    ]


def net_names(nets: Iterable[Train]) -> dict[Train, str]:
    """Names of nets: the model, and the training."""
    listed = list(dict.fromkeys(nets))
    models = names(listed, lambda net: net.model)
    defences = names(listed, lambda net: net.defence)
    return {net: f"{models[net]}, {defences[net]}" for net in listed}


def trial_names(trials: Iterable[Trial]) -> dict[Trial, str]:
    """Names of attacks: their fields, what comes before, and the sample, where these differ."""
    listed = list(dict.fromkeys(trials))
    attacks = names(listed, lambda trial: trial.attack)
    several = len(dict.fromkeys(trial.sample for trial in listed)) > 1
    return {trial: _words(trial, attacks[trial], several) for trial in listed}


def _words(trial: Trial, attack: str, with_sample: bool) -> str:
    parts = [attack]
    if trial.before is not None:
        parts.append(f"after {nickname(trial.before)}")
    if trial.source is not None:
        source = trial.source
        parts.append(f"from {nickname(source.model)}, {nickname(source.defence)}")
    if trial.precision != "float32":
        parts.append(f"in {trial.precision}")
    if with_sample:
        parts.append(f"on {sample_words(trial.sample)}")
    return " ".join(parts)


def sample_words(sample: Sample) -> str:
    """A sample in words: 200 of test, all of test."""
    if sample.per_class is not None:
        return f"{sample.per_class:,} per class of {sample.split}"
    return f"{'all' if sample.limit is None else f'{sample.limit:,}'} of {sample.split}"
