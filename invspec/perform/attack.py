"""Perform an attack on one part of a sample, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed, Split
from invspec.errors import InvspecError
from invspec.kinds import Attack
from invspec.ops.draws import PerExample
from invspec.perform.judge import judge
from invspec.perform.proxies import Padded, deployed, searched
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import chosen
from invspec.tasks import Perturb, draw_name

COSTS = ("forwards", "backwards")


def perturb(task: Perturb, runtime: Runtime) -> Artifact:
    """Attack one part of a sample and judge what was found."""
    sample, net = (
        chosen(task.train.dataset, task.sample).to(runtime.device),
        deployed(task.train, runtime),
    )
    split = sample.take(torch.arange(task.part[0], min(task.part[1], len(sample))))
    if not len(split):
        return _nothing(net, sample)
    if task.after is None:
        return Artifact(_attacked(task, net, split, None, runtime))
    return Artifact(_shared(task, runtime.load(task.after).tensors, net, split, runtime))


def _shared(
    task: Perturb, smaller: Mapping[str, Tensor], net: Padded, split: Split, runtime: Runtime
) -> dict[str, Tensor]:
    """What a task finds after one on a smaller set: the judged columns and x_adv. Costs are what it adds.

    Survivors go on from where the smaller set left them. Who withstands that is attacked as by the task alone, with its
    draws, so that sharing fools whomever a separate run fools. The misclassified only have that: an attack that leaves
    the true label drives them deeper into the wrong one.
    """
    found = {
        name: torch.zeros_like(each) if name in COSTS else each.clone()
        for name, each in smaller.items()
    }
    right = found["prediction"] == found["y"]
    for search, start in ((task, found["x_adv"]), (replace(task, after=None), None)):
        rows = (~fooled(found) & (right | (start is None))).nonzero().squeeze(1)
        if not len(rows):
            continue
        again = _attacked(
            search, net, split.take(rows), None if start is None else start[rows], runtime
        )
        kept = (
            torch.ones_like(rows, dtype=torch.bool)
            if start is not None
            else fooled(again) | ~right[rows]
        )
        for name, each in again.items():
            if name in COSTS:
                found[name][rows] += each
            else:
                found[name][rows[kept]] = each[kept]
    return found


def fooled(judged: Mapping[str, Tensor]) -> Tensor:
    """Whose fate is settled, (N,) bool: the prediction has changed, and not to the true label."""
    prediction_adv = judged["prediction_adv"]
    return (prediction_adv != judged["prediction"]) & (prediction_adv != judged["y"])


def _attacked(
    task: Perturb, net: Padded, split: Split, start: Tensor | None, runtime: Runtime
) -> dict[str, Tensor]:
    """Attack a split batch by batch, from the images start (N, C, H, W) if there are any: the judged columns, x_adv."""
    search = searched(net, task.precision)
    draws_key = draw_name(task) if start is None else f"{draw_name(task)} from a smaller set"
    found: list[dict[str, Tensor]] = []
    done = 0
    for batch in split.batches(runtime.batch_size):
        if start is not None:
            batch = replace(batch, start=start[done : done + len(batch)].to(batch.x.device))
        for piece, perturbed in _within_memory(task.attack, search, batch, draws_key):
            found.append(judge(net, piece, perturbed))
            done += len(piece)
            runtime.progress(done, len(split))
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def _nothing(net: nn.Module, sample: Split) -> Artifact:
    """What a part beyond the sample's end leaves: `size` cannot know that a class has too few examples."""
    (batch,) = sample.head(1).batches(1)
    judged = judge(net, batch, Perturbed.costing(batch.x, forwards=0, backwards=0))
    return Artifact({name: tensor[:0] for name, tensor in judged.items()})


def _within_memory(
    attack: Attack, net: nn.Module, batch: Batch, draws_key: str
) -> Iterator[tuple[Batch, Perturbed]]:
    """Perturb a batch; where the device's memory does not hold it, its halves."""
    try:
        rng = PerExample(draws_key, batch.index, batch.x.device)
        yield batch, attack.perturb(net, batch, rng)
        return
    except torch.OutOfMemoryError:
        if len(batch) == 1:
            raise InvspecError("one example does not fit into the device's memory") from None
    middle = len(batch) // 2
    for rows in (torch.arange(middle), torch.arange(middle, len(batch))):
        yield from _within_memory(attack, net, batch.take(rows), draws_key)
