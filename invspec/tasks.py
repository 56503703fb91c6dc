"""The three kinds of work: train a model, perturb examples, score what came of it.

A task is a frozen value that holds methods and other tasks; its edges are its fields, and its key is the hash of its
own canonical JSON. Whatever can change a number is in the key, and nothing else is.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from functools import cache, cached_property, lru_cache
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from invspec import bits
from invspec.data import JUDGED, PAIRED, Batch, Curves, Examples, Journal, Perturbed, Row, Scored, Split, rows_of
from invspec.errors import InvspecError
from invspec.kinds import Attack, Dataset, Defence, Measure, Model, Sample, SplitName, plain
from invspec.ops.draws import PerExample, Stream, digest
from invspec.pairs import most, paired

Precision = Literal["float32", "bfloat16"]
Part = tuple[int, int]  # positions [start, stop) in the sample


@dataclass(frozen=True)
class Train:
    """Fit one model. Artifact: its weights, and the curves of its loss and the like."""

    dataset: Dataset
    model: Model
    defence: Defence
    seed: int


@dataclass(frozen=True)
class Perturb:
    """Attack a part of a sample and judge what was found. Artifact: x_adv and the judged columns.

    after is the same attack on a smaller set, if it has run before: what that one fooled is kept, and the others are
    attacked from where it left them, then afresh.
    """

    train: Train
    attack: Attack
    sample: Sample
    part: Part
    precision: Precision = "float32"
    after: Perturb | None = None


@dataclass(frozen=True)
class Score:
    """Reduce one or several attacks, each in its parts, to rows. Artifact: the rows, and tensors for figures.

    oracle is a second classifier of the same data set, whose word the measure takes for what images show.
    """

    measure: Measure
    of: tuple[tuple[Perturb, ...], ...]
    oracle: Train | None = None

    @property
    def train(self) -> Train:
        """The one training that every attack was on."""
        return self.of[0][0].train


Task = Train | Perturb | Score


@dataclass(frozen=True)
class Artifact:
    """What a task leaves behind. Only a score has rows, only a training has curves."""

    tensors: Mapping[str, Tensor]
    rows: tuple[Row, ...] | None = None
    curves: Curves | None = None


def needs(task: Task) -> tuple[Task, ...]:
    """The tasks whose artifacts this one reads."""
    match task:
        case Train():
            return ()
        case Perturb():
            return (task.train,) if task.after is None else (task.train, task.after)
        case Score():
            oracle = () if task.oracle is None else (task.oracle,)
            return (task.train, *oracle, *(part for parts in task.of for part in parts))


def verb(task: Task) -> str:
    """train, perturb or score: the task's folder in the store."""
    return type(task).__name__.lower()


def label(task: Task) -> str:
    """A few words for a progress line."""
    match task:
        case Train():
            return f"train {type(task.model).__name__} · {type(task.defence).__name__} · seed {task.seed}"
        case Perturb():
            return f"{type(task.attack).__name__} {task.part[0]}-{task.part[1]} on {label(task.train)[6:]}"
        case Score():
            return f"{type(task.measure).__name__} on {label(task.train)[6:]}"


def canonical(task: Task) -> str:
    """The text that is hashed. Nested tasks stand in it as their own keys."""
    body = {field.name: _plain(getattr(task, field.name)) for field in fields(task)}
    return json.dumps({"task": type(task).__name__, **body}, sort_keys=True, allow_nan=False)


def _plain(value: Any) -> Any:
    if isinstance(value, Train | Perturb | Score):
        return key(value)
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return plain(value)


@cache
def key(task: Task) -> str:
    """40 hex digits: SHA-256 of the canonical text."""
    return hashlib.sha256(canonical(task).encode()).hexdigest()[:40]


# ─ doing it ───────────────────────────────────────────────────────────────────────────────────────────────────────────


class Bench(Protocol):
    """Where a task is performed: what it may use, and what can change no number."""

    @property
    def device(self) -> torch.device:
        """Where tensors live while they are worked on."""
        ...

    @property
    def batch_size(self) -> int:
        """Examples that an attack gets at once."""
        ...

    def load(self, task: Task) -> Artifact:
        """What a finished task left behind."""
        ...

    def journal(self, task: Train) -> Journal:
        """Where a training reports and keeps its checkpoints."""
        ...

    def progress(self, done: int, total: int) -> None:
        """So many of the task's examples are done."""
        ...


def perform(task: Task, bench: Bench) -> Artifact:
    """Do the work of one task whose needs are met."""
    match task:
        case Train():
            return _train(task, bench)
        case Perturb():
            return _perturb(task, bench)
        case Score():
            return _score(task, bench)


@lru_cache(maxsize=4)
def read_split(dataset: Dataset, split: SplitName) -> Split:
    """A loaded split, kept for the next task of this process."""
    return dataset.load(split)


def fresh(task: Train) -> nn.Module:
    """The untrained net, on the CPU; its first weights depend on the task alone."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int.from_bytes(digest("weights " + key(task))[:8], "big") >> 1)
        return task.model.build(task.dataset.shape, task.dataset.classes)


def _train(task: Train, bench: Bench) -> Artifact:
    data = read_split(task.dataset, "train").to(bench.device)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    net = fresh(task).to(bench.device)
    curves = task.defence.train(net, data, Stream("training " + key(task)), bench.journal(task))
    state = net.train().state_dict()
    weights = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in state.items()}  # tied ones apart
    bad = [name for name, tensor in weights.items() if not tensor.isfinite().all()]
    if bad:
        raise InvspecError(f"training left weights that are not finite ({bad[0]})", hint="lower the learning rate")
    return Artifact(weights, curves=curves)


COSTS = ("forwards", "backwards")
# On CPUs batches of any multiple of this run the same kernels. Of fewer images, torch computes 1 x 1 convolutions with
# another library.
BLOCK = 16


class Face(nn.Module):
    """Stands before a deployed net and offers what the net offers: pixel_std, encode, decode."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def __getattr__(self, name: str) -> Any:
        """Only asked for what the face itself does not have."""
        try:
            return super().__getattr__(name)
        except AttributeError:
            return getattr(super().__getattr__("net"), name)


class Padded(Face):
    """A deployed net whose every batch is filled up to a multiple of BLOCK, so that batch size changes no number."""

    def __getattr__(self, name: str) -> Any:
        """What the net offers; of a bijection, both ways are filled up too."""
        found = super().__getattr__(name)
        return _filled_up(found) if name in ("encode", "encode_with_log_det", "decode") else found

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return _filled_up(self.net)(x)


def _filled_up(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function of tensors (B, ...), whose last rows are repeated up to a multiple of BLOCK, cut back to B rows."""

    def called(*tensors: Tensor, **named: Tensor) -> Any:
        size = len(next(iter((*tensors, *named.values()))))
        if not (missing := -size % BLOCK):
            return function(*tensors, **named)

        def filled(x: Tensor) -> Tensor:
            return torch.cat([x, x[-1:].expand(missing, *x.shape[1:])])

        results = function(*map(filled, tensors), **{name: filled(x) for name, x in named.items()})
        return results[:size] if isinstance(results, Tensor) else tuple(result[:size] for result in results)

    return called


class Bfloat16(Face):
    """A net searched in bfloat16 and channels-last, behind a float32 face; what else it offers stays in float32."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__(net)
        self.low = copy.deepcopy(net).bfloat16().to(memory_format=torch.channels_last)

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) float32 to logits (B, K) float32."""
        return self.low(x.to(torch.bfloat16, memory_format=torch.channels_last)).float()


@lru_cache(maxsize=2)
def _deployed(task: Train, bench: Bench) -> Padded:
    net = fresh(task)
    net.load_state_dict(dict(bench.load(task).tensors))
    return Padded(task.model.deploy(net).to(bench.device))


def searched(net: Padded, precision: Precision) -> Padded:
    """The net as an attack sees it."""
    return net if precision == "float32" else Padded(Bfloat16(net.net))


def promise(task: Perturb, bench: Bench) -> str:
    """Whether batch size leaves every bit of what the attack sees of its net; made.json says so of the task."""
    return _promise(task.train, task.precision, bench)


@lru_cache(maxsize=64)
def _promise(train: Train, precision: Precision, bench: Bench) -> str:
    return bits.promise(searched(_deployed(train, bench), precision), train.dataset.shape, bench.device)


def chosen(dataset: Dataset, sample: Sample) -> Split:
    """The examples of a sample, in the order of their split; with targets, its pairs."""
    return _chosen(dataset, sample)  # pyright: ignore[reportArgumentType]  # frozen: hashable


@lru_cache(maxsize=4)
def _chosen(dataset: Dataset, sample: Sample) -> Split:
    """The same, kept for the next part: drawing targets for each source takes seconds."""
    split = read_split(dataset, sample.split)  # pyright: ignore[reportArgumentType]  # frozen: hashable
    sources = _sources(split, sample, dataset.classes)
    return sources if sample.targets is None else paired(split, sources, sample.targets, dataset.classes)


def _sources(split: Split, sample: Sample, classes: int) -> Split:
    if sample.per_class is None:
        return split if sample.limit is None else split.head(sample.limit)
    y = split.labels()
    rows = [torch.nonzero(y == k)[: sample.per_class, 0] for k in range(classes)]
    return split.take(torch.cat(rows).sort().values)


def size(dataset: Dataset, sample: Sample) -> int:
    """At most how many examples, or pairs, a sample holds, without loading them."""
    whole = dataset.count(sample.split)
    wanted = sample.limit or (sample.per_class or whole) * (dataset.classes if sample.per_class else 1)
    sources = min(whole, wanted)
    return sources if sample.targets is None else most(sample.targets, sources, dataset.classes)


def _perturb(task: Perturb, bench: Bench) -> Artifact:
    sample, net = chosen(task.train.dataset, task.sample).to(bench.device), _deployed(task.train, bench)
    split = sample.take(torch.arange(task.part[0], min(task.part[1], len(sample))))
    if not len(split):
        return _nothing(net, sample)
    if task.after is None:
        return Artifact(_attacked(task, net, split, None, bench))
    return Artifact(_shared(task, bench.load(task.after).tensors, net, split, bench))


def _shared(task: Perturb, smaller: Mapping[str, Tensor], net: Padded, split: Split, bench: Bench) -> dict[str, Tensor]:
    """What a task finds after one on a smaller set: the judged columns and x_adv. Costs are what it adds.

    Survivors go on from where the smaller set left them. Who withstands that is attacked as by the task alone, with its
    draws, so that sharing fools whomever a separate run fools. The misclassified only have that: an attack that leaves
    the true label drives them deeper into the wrong one.
    """
    found = {name: torch.zeros_like(each) if name in COSTS else each.clone() for name, each in smaller.items()}
    right = found["prediction"] == found["y"]
    for search, start in ((task, found["x_adv"]), (replace(task, after=None), None)):
        rows = (~fooled(found) & (right | (start is None))).nonzero().squeeze(1)
        if not len(rows):
            continue
        again = _attacked(search, net, split.take(rows), None if start is None else start[rows], bench)
        kept = torch.ones_like(rows, dtype=torch.bool) if start is not None else fooled(again) | ~right[rows]
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


def _attacked(task: Perturb, net: Padded, split: Split, start: Tensor | None, bench: Bench) -> dict[str, Tensor]:
    """Attack a split batch by batch, from the images start (N, C, H, W) if there are any: the judged columns, x_adv."""
    search, draws_key = searched(net, task.precision), key(_whole(task))
    found: list[dict[str, Tensor]] = []
    done = 0
    for batch in split.batches(bench.batch_size):
        if start is not None:
            batch = replace(batch, start=start[done : done + len(batch)].to(batch.x.device))
        for piece, perturbed in _within_memory(task.attack, search, batch, draws_key):
            found.append(_judge(net, piece, perturbed))
            done += len(piece)
            bench.progress(done, len(split))
    return {name: torch.cat([one[name] for one in found]) for name in found[0]}


def _whole(task: Perturb) -> Perturb:
    """The task without its part, which is no concern of the random draws."""
    return replace(task, part=(0, 0), after=None if task.after is None else _whole(task.after))


def _nothing(net: nn.Module, sample: Split) -> Artifact:
    """What a part beyond the sample's end leaves: `size` cannot know that a class has too few examples."""
    (batch,) = sample.head(1).batches(1)
    judged = _judge(net, batch, Perturbed.costing(batch.x, forwards=0, backwards=0))
    return Artifact({name: tensor[:0] for name, tensor in judged.items()})


def _within_memory(attack: Attack, net: nn.Module, batch: Batch, draws_key: str) -> Iterator[tuple[Batch, Perturbed]]:
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


@torch.no_grad()
def _judge(net: nn.Module, batch: Batch, perturbed: Perturbed) -> dict[str, Tensor]:
    """What became of every example, in float32, whatever the precision of the search."""
    x_adv = perturbed.x_adv.detach().float()
    assert x_adv.shape == batch.x.shape, f"attack changed the shape {tuple(batch.x.shape)} to {tuple(x_adv.shape)}"
    if not x_adv.isfinite().all():
        raise InvspecError("the attack returned pixels that are not finite", hint="does the model give finite logits?")
    confidence, prediction = F.softmax(net(batch.x), dim=1).max(dim=1)
    confidence_adv, prediction_adv = F.softmax(net(x_adv), dim=1).max(dim=1)
    delta = (x_adv - batch.x).flatten(1)
    columns = {
        "index": batch.index,
        "y": batch.y,
        "prediction": prediction,
        "prediction_adv": prediction_adv,
        "confidence": confidence,
        "confidence_adv": confidence_adv,
        "linf": delta.abs().amax(dim=1),
        "l2": delta.norm(dim=1),
        "forwards": perturbed.forwards,
        "backwards": perturbed.backwards,
    }
    assert tuple(columns) == JUDGED, "columns and their list differ"
    if batch.ends is not None and batch.y_target is not None:
        columns |= dict(zip(PAIRED, (*batch.ends.unbind(1), batch.y_target), strict=True))
    kept = {} if perturbed.path is None else {"path": perturbed.path.transpose(0, 1)}  # examples lead, as everywhere
    kept |= {} if perturbed.exact is None else {"exact": perturbed.exact}
    return {name: tensor.cpu().contiguous() for name, tensor in {**columns, "x_adv": x_adv, **kept}.items()}


class Joined(Mapping[str, Tensor]):
    """The tensors of an attack's parts, one behind the other, read when asked for."""

    def __init__(self, parts: list[Mapping[str, Tensor]]) -> None:
        self.parts = parts

    def rows(self, name: str, start: int, stop: int) -> Tensor:
        """Rows [start, stop) of a tensor, of which no others are read."""
        found: list[Tensor] = []
        for part, (first, end) in zip(self.parts, itertools.pairwise(self._starts), strict=True):
            if max(start, first) < min(stop, end):
                found.append(rows_of(part, name, max(start, first) - first, min(stop, end) - first))
        return torch.cat(found)

    @cached_property
    def _starts(self) -> list[int]:
        """Where each part begins, and where the last one ends."""
        return list(itertools.accumulate((len(part["index"]) for part in self.parts), initial=0))

    def __getitem__(self, name: str) -> Tensor:
        return torch.cat([part[name] for part in self.parts])

    def __iter__(self) -> Iterator[str]:
        return iter(self.parts[0])

    def __len__(self) -> int:
        return len(self.parts[0])


def examples(parts: tuple[Perturb, ...], bench: Bench) -> Examples:
    """One attack's whole output."""
    clean = chosen(parts[0].train.dataset, parts[0].sample)
    tensors = Joined([bench.load(part).tensors for part in parts if part.part[0] < len(clean)])
    judged = {name: tensors[name] for name in (*JUDGED, *PAIRED) if name in tensors}
    return Examples(clean, judged, tensors, plain(parts[0].attack)["fields"])


def _score(task: Score, bench: Bench) -> Artifact:
    oracle = None if task.oracle is None else _deployed(task.oracle, bench)
    attacked = (replace(examples(parts, bench), oracle=oracle) for parts in task.of)
    scored: Scored = task.measure.score(_deployed(task.train, bench), *attacked)
    tensors = {name: tensor.contiguous().clone() for name, tensor in scored.tensors.items()}  # views apart
    return Artifact(tensors, tuple(scored.rows))
