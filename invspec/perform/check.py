"""Perform an examination: give a check its net, attack and examples."""

from __future__ import annotations

import torch
from torch import Tensor

from invspec.data import Batch, Examples, Finding, Perturbed, judged_from
from invspec.kinds import plain
from invspec.ops.draws import PerExample
from invspec.perform.judge import judge
from invspec.perform.promises import Subject
from invspec.perform.proxies import Padded, deployed
from invspec.perform.results import checked
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import chosen
from invspec.perform.score import Joined
from invspec.tasks import Examine, Perturb, draw_name


def examine(task: Examine, runtime: Runtime) -> Artifact:
    """Apply a check to a net or, if the task names one, to an attack on it."""
    net = deployed(task.train, runtime)
    examples = _attacked(task, runtime) if task.of else _clean(task, net, runtime)
    attack = task.of[0].attack if task.of else None
    rng = PerExample(draw_name(task), examples.judged.index, runtime.device)
    finding = task.check.examine(net, attack, examples, rng)
    return Artifact(finding=checked(finding, Finding, task.check))


def _attacked(task: Examine, runtime: Runtime) -> Examples:
    """The first results of the attack, as the store has them."""
    first = task.of[0]
    clean = chosen(first.train.dataset, first.sample).head(task.images)
    stored = _joined(task.of, len(clean), runtime)
    tensors = {name: stored.rows(name, 0, len(clean)) for name in stored}
    others = (_joined(parts, len(clean), runtime) for parts in task.others)
    return Examples(
        clean.to(runtime.device),
        judged_from(tensors),
        tensors,
        plain(first.attack)["fields"],
        path_promise=first.attack.path_promise,
        others=tuple(made.rows("x_adv", 0, len(clean)) for made in others),
    )


def _joined(parts: tuple[Perturb, ...], count: int, runtime: Runtime) -> Joined:
    """The stored columns of an attack. Parts beyond the end of a small split are empty."""
    present = [part for part in parts if part.part[0] < count] or parts[:1]
    return Joined([runtime.load(part).tensors for part in present])


def _clean(task: Examine, net: Padded, runtime: Runtime) -> Examples:
    """Clean images of the sample, judged as the identity attack leaves them."""
    sample = chosen(task.train.dataset, task.sample)
    clean = sample.take(_spread(len(sample), task.images)).to(runtime.device)
    subject = Subject.of(task.train)
    judged = [_unchanged(net, batch, subject) for batch in clean.batches(runtime.batch_size)]
    tensors = {name: torch.cat([columns[name] for columns in judged]) for name in judged[0]}
    return Examples(clean, judged_from(tensors), tensors)


def _spread(total: int, count: int) -> Tensor:
    """At most count of total positions, evenly spaced: a split may be sorted by class."""
    count = min(total, count)
    return torch.arange(count) * total // max(count, 1)


def _unchanged(net: Padded, batch: Batch, subject: Subject) -> dict[str, Tensor]:
    return judge(net, batch, Perturbed.costing(batch.x, forwards=0, backwards=0), subject)
