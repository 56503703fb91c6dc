"""Perform an attack on one part of a sample, batch by batch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import fields, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from invspec.data import COSTS, GENERATOR_OPERATIONS, Batch, Perturbed, Split, rows_of
from invspec.errors import counted
from invspec.kinds import Attack
from invspec.memory import Limit, pieces
from invspec.ops.draws import PerExample
from invspec.ops.generators import seeded
from invspec.perform.generators import Generator
from invspec.perform.judge import judge
from invspec.perform.kept import stored
from invspec.perform.promises import (
    Subject,
    require_equal_forms,
    require_images,
    require_perturbed,
)
from invspec.perform.proxies import Padded, left_alone, searched, sound
from invspec.perform.results import checked
from invspec.perform.room import card_on, fit
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import clean_images
from invspec.perform.words import words
from invspec.registry import own_code
from invspec.tasks import Perturb, draw_name

# judged columns and x_adv of some examples, each (N, ...)
Columns = dict[str, Tensor]

# images of a task on which a user's attack runs twice, at most
REPEATED = 8

# what an attack makes, before it is judged
MADE = {column.name for column in fields(Perturbed)}


def perturb(task: Perturb, runtime: Runtime) -> Artifact:
    """Attack one part of a sample and judge the result.

    Raises: InvspecError if the net is no function of the image, or if the net or the attack breaks
        a promise of its kind.
    """
    sample = clean_images(task).to(runtime.device)
    net = sound(task.train, sample, runtime)
    start, stop = task.part
    split = sample.take(torch.arange(start, min(stop, len(sample))))
    if not len(split):
        return Artifact(stored(task.attack, _empty(task, net, sample)))
    if task.source is not None and not task.attack.keeps_images:
        return Artifact(_transferred(task, task.source, net, split, runtime))
    with left_alone(task.train, task.attack, runtime):
        if task.after is None:
            return Artifact(stored(task.attack, _from_scratch(task, net, split, runtime)))
        smaller = runtime.load(task.after).tensors
        return Artifact(_warm_started(task, smaller, net, split, runtime))


def fooled(columns: Mapping[str, Tensor]) -> Tensor:
    """Examples whose prediction changed, but not to the true label, (N,) bool."""
    prediction_adv = columns["prediction_adv"]
    return (prediction_adv != columns["prediction"]) & (prediction_adv != columns["y"])


# ─ one search ────────────────────────────────────────────────────────────────────────────────


def _from_scratch(task: Perturb, net: Padded, split: Split, runtime: Runtime) -> Columns:
    """Attack a split as if the task ran on its own."""
    return _attacked(task, net, split, None, draw_name(task), runtime)


def _attacked(
    task: Perturb, net: Padded, split: Split, start: Tensor | None, draws: str, runtime: Runtime
) -> Columns:
    """Attack a split batch by batch, from the images start (N, C, H, W) if they are given.

    draws is the name that seeds the random draws.
    """
    proxy = searched(net, task.precision)
    limit = runtime.limits.of(
        type(task.attack), task.train.model, task.train.dataset.shape, task.precision
    )
    card = card_on(runtime.device, runtime.limits.share)
    subject = Subject.of(task.train)
    generator = None if task.generator is None else Generator.of(task.generator, runtime)
    judged: list[Columns] = []
    done = 0
    for batch in split.batches(runtime.batch_size):
        require_images(batch, subject)
        if generator is not None:
            batch = replace(batch, generated=generator(batch))
        fit(limit, proxy, batch.x, card)
        if start is not None:
            batch = replace(batch, start=start[done : done + len(batch)].to(batch.x.device))
        for piece, copy, perturbed, drawn_from in within_memory(
            task.attack, proxy, batch, draws, limit
        ):
            require_perturbed(perturbed, copy, piece, task.attack, net, subject)
            if not judged and own_code.is_own(task.attack) and not (drawn_from or net.is_random):
                _warn_unless_repeated(task.attack, proxy, piece, perturbed.x_adv, draws, runtime)
            if drawn_from and not net.is_random:
                runtime.warn(_draws_globally(task.attack, drawn_from))
            name = f"judging {draws} {int(piece.index[0])}"
            with seeded(name) if net.is_random else nullcontext():
                judged.append(judge(net, piece, perturbed, subject))
            if generator is not None:
                judged[-1][GENERATOR_OPERATIONS] = generator.operations(piece)
            done += len(piece)
            runtime.progress(done, len(split))
    return joined(judged, task.attack)


def _warn_unless_repeated(
    attack: Attack, net: nn.Module, batch: Batch, x_adv: Tensor, draws: str, runtime: Runtime
) -> None:
    """Run a user's attack on the first images again: equal draws must give equal x_adv."""
    # half at most, so that images also have other neighbours
    count = max(1, min(REPEATED, len(batch) // 2))
    some = batch.take(torch.arange(count))
    again = _searched(attack, net, some, draws).perturbed.x_adv
    differences = (again - x_adv[:count]).abs().flatten(1).amax(1)
    if differences.any():
        runtime.warn(
            f"{words(attack)} does not repeat: run again, it gives other pixels for "
            f"{int(differences.count_nonzero())} of {counted(count, 'image')}, by up to "
            f"{differences.max():.2g}\nhint: draw from rng alone, and let no image of a batch "
            "change what becomes of another"
        )


def _transferred(
    task: Perturb, source: Perturb, net: Padded, split: Split, runtime: Runtime
) -> Columns:
    """Judge images that the same attack made on another net, at the cost that it had there."""
    made = runtime.load(source).tensors
    subject, judged = Subject.of(task.train), list[Columns]()
    done = 0
    for batch in split.batches(runtime.batch_size):
        rows = (done, done + len(batch))
        tensors = {name: rows_of(made, name, *rows).to(batch.x.device) for name in MADE & {*made}}
        if "path" in tensors:
            tensors["path"] = tensors["path"].transpose(0, 1)
        require_images(batch, subject)
        judged.append(judge(net, batch, Perturbed(**tensors), subject))
        if GENERATOR_OPERATIONS in {*made}:
            judged[-1][GENERATOR_OPERATIONS] = rows_of(made, GENERATOR_OPERATIONS, *rows)
        done += len(batch)
        runtime.progress(done, len(split))
    return joined(judged, task.attack)


def joined(judged: Sequence[Columns], attack: Attack) -> Columns:
    """The columns of all batches. Raises: InvspecError if they have not the same form in each."""
    forms = [{name: column.shape[1:] for name, column in columns.items()} for columns in judged]
    require_equal_forms(forms, attack, "batch")
    return {name: torch.cat([columns[name] for columns in judged]) for name in judged[0]}


def _draws_globally(attack: Attack, generators: list[str]) -> str:
    return (
        f"{words(attack)} draws from the global generator of {', '.join(generators)}, so that its "
        "results repeat only at the same --batch-size\nhint: draw from rng, which perturb is given"
    )


class Attacked(NamedTuple):
    """A batch, the copy of it that an attack got, and the attack's result.

    drawn_from names the global generators that were drawn from.
    """

    batch: Batch
    copy: Batch
    perturbed: Perturbed
    drawn_from: list[str]


def within_memory(
    attack: Attack, net: nn.Module, batch: Batch, draws: str, limit: Limit
) -> Iterator[Attacked]:
    """Attack a batch or, if it does not fit into memory, pieces of it."""

    def search(rows: slice) -> Attacked:
        positions = torch.arange(len(batch))[rows]
        piece = batch if len(positions) == len(batch) else batch.take(positions)
        return _searched(attack, net, piece, draws)

    for _, result in pieces(search, len(batch), limit):
        yield result


def _searched(attack: Attack, net: nn.Module, batch: Batch, draws: str) -> Attacked:
    """Attack a batch, with the draws of this name for its examples."""
    # what an attack does to its images must not change those that are judged
    copy = replace(batch, x=batch.x.clone(), y=batch.y.clone())
    rng = PerExample(draws, batch.index, batch.x.device)
    with seeded(f"attacking {draws} {int(batch.index[0])}") as moved:
        perturbed = checked(attack.perturb(net, copy, rng), Perturbed, attack)
        return Attacked(batch, copy, perturbed, moved())


def _empty(task: Perturb, net: nn.Module, sample: Split) -> Columns:
    """The columns of zero examples.

    The plan cannot know that a class has fewer examples than the sample asks for, so a part may
    start beyond the sample's end.
    """
    (batch,) = sample.head(1).batches(1)
    nothing = Perturbed.costing(batch.x, forwards=0, backwards=0)
    judged = judge(net, batch, nothing, Subject.of(task.train))
    return {name: column[:0] for name, column in judged.items()}


# ─ a sweep that shares its work ──────────────────────────────────────────────────────────────


def _warm_started(
    task: Perturb, smaller: Mapping[str, Tensor], net: Padded, split: Split, runtime: Runtime
) -> Columns:
    """Attack a split after the same attack searched a smaller set, such as a smaller eps ball.

    1. An example fooled within the smaller set is fooled here: its result is copied.
    2. Other examples that the net classifies correctly start from their image in the smaller set.
    3. Those that are still not fooled are attacked from scratch, with the draws of a separate task.
       So a shared sweep fools at least the examples that separate tasks fool.

    Misclassified examples skip the second search: an attack that leaves the true label drives them
    further into the wrong class. Costs are those of this task alone.
    """
    columns = {
        name: torch.zeros_like(column) if name in COSTS else column.clone()
        for name, column in smaller.items()
    }
    correct = columns["prediction"] == columns["y"]

    rows = torch.nonzero(correct & ~fooled(columns)).squeeze(1)
    if len(rows):
        start, draws = columns["x_adv"][rows], f"{draw_name(task)} from a smaller set"
        continued = _attacked(task, net, split.take(rows), start, draws, runtime)
        _update(columns, rows, continued, torch.ones_like(rows, dtype=torch.bool))

    rows = torch.nonzero(~fooled(columns)).squeeze(1)
    if len(rows):
        fresh = _from_scratch(task, net, split.take(rows), runtime)
        # where neither search fooled a correct example, the result of the second search stays
        _update(columns, rows, fresh, fooled(fresh) | ~correct[rows])
    return columns


def _update(columns: Columns, rows: Tensor, results: Columns, better: Tensor) -> None:
    """Add the costs of a search of rows (M,); take its results where better (M,) is True."""
    for name, column in results.items():
        if name in COSTS:
            columns[name][rows] += column
        else:
            columns[name][rows[better]] = column[better]
