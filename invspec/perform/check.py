"""Perform an examination: give a check its net, attack and examples."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

from invspec.data import Batch, Examples, Finding, Perturbed, judged_from, rows_of
from invspec.kinds import Sample
from invspec.ops.draws import PerExample
from invspec.ops.generators import seeded
from invspec.perform.judge import judge
from invspec.perform.kept import with_images
from invspec.perform.promises import Subject
from invspec.perform.proxies import Padded, examinable, left_alone
from invspec.perform.results import checked
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import chosen, clean_images
from invspec.perform.score import Joined, settings_of
from invspec.tasks import Examine, Perturb, Train, draw_name


def examine(task: Examine, runtime: Runtime) -> Artifact:
    """Apply a check to a net or, if the task names one, to an attack on it.

    Raises: InvspecError if the net cannot be examined, or if the check changes it.
    """
    examples = _examples(task, runtime)
    net = examinable(task.train, examples.clean, runtime)
    attack = task.of[0].attack if task.of else None
    name = draw_name(task)
    rng = PerExample(name, examples.judged.index, runtime.device)
    with left_alone(task.train, task.check, runtime), seeded(f"examining {name}"):
        finding = task.check.examine(net, attack, examples, rng)
    return Artifact(finding=checked(finding, Finding, task.check))


def _examples(task: Examine, runtime: Runtime) -> Examples:
    if task.of:
        return _attacked(task, runtime)
    return _clean(task.train, task.sample, task.images, runtime)  # pyright: ignore[reportArgumentType]  # frozen: hashable


def _attacked(task: Examine, runtime: Runtime) -> Examples:
    """The first results of the attack, as the store has them."""
    first = task.of[0]
    clean = clean_images(first).head(task.images)
    stored = with_images(_joined(task.of, len(clean), runtime), clean)
    tensors = {name: rows_of(stored, name, 0, len(clean)) for name in stored}
    others = (with_images(_joined(parts, len(clean), runtime), clean) for parts in task.others)
    return Examples(
        clean.to(runtime.device),
        judged_from(tensors),
        tensors,
        settings_of(first),
        path_promise=first.attack.path_promise,
        others=tuple(rows_of(made, "x_adv", 0, len(clean)) for made in others),
    )


def _joined(parts: tuple[Perturb, ...], count: int, runtime: Runtime) -> Joined:
    """The stored columns of an attack. Parts beyond the end of a small split are empty."""
    present = [part for part in parts if part.part[0] < count] or parts[:1]
    return Joined([runtime.load(part).tensors for part in present])


# cached for the next check of the net
@lru_cache(maxsize=2)
def _clean(train: Train, sample: Sample, count: int, runtime: Runtime) -> Examples:
    """At most count clean images of the sample, judged as the identity attack leaves them."""
    images = chosen(train.dataset, sample)
    clean = images.take(_spread(len(images), count)).to(runtime.device)
    net, subject = examinable(train, clean, runtime), Subject.of(train)
    with seeded("judging clean images"):
        judged = [_unchanged(net, batch, subject) for batch in clean.batches(runtime.batch_size)]
    tensors = {name: torch.cat([columns[name] for columns in judged]) for name in judged[0]}
    return Examples(clean, judged_from(tensors), tensors)


def _spread(total: int, count: int) -> Tensor:
    """At most count of total positions, evenly spaced: a split may be sorted by class."""
    count = min(total, count)
    return torch.arange(count) * total // max(count, 1)


def _unchanged(net: Padded, batch: Batch, subject: Subject) -> dict[str, Tensor]:
    return judge(net, batch, Perturbed.costing(batch.x, forwards=0, backwards=0), subject)
