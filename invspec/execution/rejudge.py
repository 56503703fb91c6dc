"""Compute again what a store says: rows from outcomes, judged columns from images and nets.

Digests find damage, not edits by someone who renews the digests. This finds edits of

- task.json, whose text must have the key as its hash;
- rows and tensors of scores, which the measure gives again from what the attacks stored;
- images and judged columns of attacks, as the net must judge these images of this sample alike;
- an artifact that was exchanged after others were made from it, as they hold its digest.

Not found: another net with everything below it computed anew from it, other images that are as
adversarial as their columns say, curves of trainings, numbers of passes, paths of walks, and
the facts in made.json. `invspec reproduce` computes all of them again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from invspec.data import WALKED, Batch, Perturbed
from invspec.errors import InvspecError
from invspec.execution import rows
from invspec.execution.comparison import close, unequal, unequal_tensors
from invspec.execution.determinism import reproducible, settle
from invspec.execution.rebuild import Rebuilder, Unknown, text_of
from invspec.execution.runtime import StoreRuntime
from invspec.execution.store import PAYLOAD, Store
from invspec.execution.survey import change
from invspec.execution.tensors import StoredTensors
from invspec.execution.threads import own_threads
from invspec.ops.norms import size
from invspec.perform import dispatch
from invspec.perform.judge import judge
from invspec.perform.promises import Subject
from invspec.perform.proxies import deployed
from invspec.perform.samples import clean_images
from invspec.tasks import Examine, Perturb, Score, Task, Train, key, needs, verb

# A prediction may change where the two largest probabilities are as close.
TIE = 1e-3
# what judging does not give again
KEPT = ("x_adv", "path", "exact", "forwards", "backwards", *WALKED)
BATCH = 256


@dataclass(frozen=True)
class Judgement:
    """What came of looking at an artifact again, and the reasons."""

    kind: str
    key: str
    outcome: Literal["agrees", "differs", "not judged"]
    reasons: tuple[str, ...] = ()


class Judge:
    """Judges the artifacts of a store again on a device."""

    def __init__(self, store: Store, device: torch.device) -> None:
        self.store, self.device = store, device
        self.rebuilder = Rebuilder(store)
        self.runtime = StoreRuntime(store, device, BATCH, lambda *_: None)

    def judged(self, folders: Sequence[tuple[str, Path]]) -> Iterator[Judgement]:
        """One judgement for each artifact, given by its verb and folder."""
        with reproducible(self.device):
            for kind, folder in folders:
                yield self._judgement(kind, folder.name)

    def _judgement(self, kind: str, digest: str) -> Judgement:
        try:
            if reason := self._forged_text(kind, digest):
                return Judgement(kind, digest, "differs", (reason,))
            task = self.rebuilder.task(kind, digest)
            reasons = (*self._exchanged(task), *self._differences(task))
        except Unknown as problem:
            return Judgement(kind, digest, "not judged", (problem.message,))
        except InvspecError as problem:
            return Judgement(kind, digest, "differs", (problem.message,))
        return Judgement(kind, digest, "differs" if reasons else "agrees", reasons)

    def _forged_text(self, kind: str, digest: str) -> str:
        try:
            text = text_of(self.store, kind, digest)
        except (OSError, ValueError) as problem:
            return f"task.json cannot be read: {problem}"
        digest_now = hashlib.sha256(text.encode()).hexdigest()[:40]
        return (
            "" if digest_now == digest else f"task.json is the text of the key {digest_now[:12]}…"
        )

    def _exchanged(self, task: Task) -> Iterator[str]:
        for need in needs(task):
            if need not in self.store:
                raise Unknown(f"its input {verb(need)} {key(need)[:12]} is not in the store")
        if problem := change(task, self.store.record):
            yield problem

    def _differences(self, task: Task) -> Iterator[str]:
        settle(self.device, own_threads(task))
        try:
            match task:
                case Train():
                    yield from self._net(task)
                case Perturb():
                    yield from self._columns(task)
                case Score():
                    yield from self._rows(task)
                case Examine():
                    yield from self._finding(task)
        except InvspecError:
            raise
        # forged files can make any step fail
        except Exception as problem:
            yield f"cannot be computed again: {type(problem).__name__}: {problem}"

    # ─ trainings ─

    def _net(self, task: Train) -> Iterator[str]:
        deployed(task, self.runtime)
        weights = self.store.load(task).tensors
        for name in weights:
            if weights[name].is_floating_point() and not weights[name].isfinite().all():
                yield f"{name} is not finite"

    # ─ attacks ─

    def _columns(self, task: Perturb) -> Iterator[str]:
        sample = clean_images(task).to(self.device)
        start, stop = task.part
        split = sample.take(torch.arange(start, min(stop, len(sample))))
        stored = self.store.load(task).tensors
        lengths = {name: len(stored[name]) for name in stored}
        if set(lengths.values()) != {len(split)}:
            yield f"expected {len(split)} examples, found {sorted(set(lengths.values()))}"
            return
        net, done = deployed(task.train, self.runtime), 0
        differences = _Differences()
        for batch in split.batches(self.runtime.batch_size):
            columns = {name: stored[name][done : done + len(batch)] for name in stored}
            differences.add(*_judged_differences(net, batch, columns, task))
            done += len(batch)
        yield from differences.sentences(len(split))

    # ─ scores ─

    def _rows(self, task: Score) -> Iterator[str]:
        folder = self.store.folder(task)
        artifact = dispatch.perform(task, self.runtime)
        bodies, outcomes = rows.written(artifact.rows or ())
        stored: Any = json.loads((folder / "rows.json").read_text())
        yield from unequal("rows.json", bodies, stored)
        tensors = StoredTensors(folder / PAYLOAD["score"])
        expected = {**artifact.tensors, **outcomes}
        if set(expected) != set(tensors):
            odd = ", ".join(sorted(set(expected) ^ set(tensors)))
            yield f"tensors that are only stored or only computed: {odd}"
            return
        for name, tensor in expected.items():
            yield from unequal_tensors(name, tensor, tensors[name])

    # ─ examinations ─

    def _finding(self, task: Examine) -> Iterator[str]:
        again = dispatch.perform(task, self.runtime).finding
        stored = self.store.load(task).finding
        assert again is not None, "an examination without a finding"
        assert stored is not None, "a stored examination without a finding"
        yield from unequal("finding.json", asdict(again), asdict(stored))


class _Differences:
    """Counts the examples that differ, by sentence."""

    def __init__(self) -> None:
        self.counts: dict[str, int] = {}

    def add(self, *found: tuple[str, int]) -> None:
        for words, count in found:
            self.counts[words] = self.counts.get(words, 0) + count

    def sentences(self, examples: int) -> Iterator[str]:
        for words, count in self.counts.items():
            if count:
                yield f"{words} of {count:,} of {examples:,} examples"


@torch.no_grad()
def _judged_differences(
    net: nn.Module, batch: Batch, stored: Mapping[str, Tensor], task: Perturb
) -> Iterator[tuple[str, int]]:
    """The columns of a batch that the net judges otherwise, with the numbers of examples."""
    kept = task.attack.keeps_images and "x_adv" not in stored
    x_adv = batch.x if kept else stored["x_adv"].to(batch.x.device)
    passes = {name: stored[name] for name in ("forwards", "backwards")}
    again = judge(net, batch, Perturbed(x_adv, **passes), Subject.of(task.train))
    for name in again:
        if name in KEPT:
            continue
        if name not in stored:
            yield f"{name} is missing", len(batch)
        elif name.startswith("prediction"):
            x = batch.x if name == "prediction" else x_adv
            wrong = _other_labels(net, x, stored[name], again[name])
            yield f"{name} differs from the net's", wrong
        else:
            yield f"{name} differs", int((~close(again[name], stored[name])).sum())
    yield from _outside(batch, x_adv, task)


def _other_labels(net: nn.Module, x: Tensor, stored: Tensor, again: Tensor) -> int:
    """How many labels are wrong, beyond ties that another machine may round otherwise."""
    if not len(at := torch.nonzero(stored != again).squeeze(1)):
        return 0
    logits = net(x).cpu()[at]
    labels = stored[at].long()
    known = (labels >= 0) & (labels < logits.shape[1])
    own = logits.gather(1, labels.clamp(0, logits.shape[1] - 1)[:, None]).squeeze(1)
    largest = logits.amax(1)
    # relative to the size of the logits, as rounding is
    return int((~known | (own < largest - TIE * logits.abs().amax(1))).sum())


def _outside(batch: Batch, x_adv: Tensor, task: Perturb) -> Iterator[tuple[str, int]]:
    """Images that leave the box of pixels, or the ball of an attack that has one."""
    low, high = batch.bounds
    outside = ((x_adv < low - 1e-5) | (x_adv > high + 1e-5)).flatten(1).any(1)
    yield "x_adv leaves the range of pixels", int(outside.sum())
    eps, norm = getattr(task.attack, "eps", None), getattr(task.attack, "norm", None)
    if isinstance(eps, int | float) and norm in ("linf", "l2"):
        far = size(x_adv - batch.x, norm) > eps * (1 + 1e-4) + 1e-5
        yield f"x_adv is farther than eps {eps:g}", int(far.sum())
