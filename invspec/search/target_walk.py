"""What attacks share that walk from x to a target and look at the confidence after every step."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, replace
from typing import ClassVar, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.kinds import Attack, Confidence
from invspec.ops.draws import Draws
from invspec.ops.losses import log_odds
from invspec.ops.norms import per_example
from invspec.ops.types import Bounds
from invspec.search.gradients import logits_and_gradient, logits_of

Memory = dict[str, Tensor]  # (M, ...) by name


@dataclass(frozen=True)
class Walkers:
    """The examples that still walk, rows (M,) of the batch.

    x and x_target (M, C, H, W): where they are and want to be. label (M,): what the model predicts for the source, with
    confidence (M,). doubt (M,): 1 less the confidence in that label at x. gradient (M, C, H, W): at x, of the label's
    log-odds, which has the direction of the confidence's gradient and does not vanish where the confidence rounds to 1.
    memory: what else the attack remembers of them.
    """

    rows: Tensor
    x: Tensor
    x_target: Tensor
    label: Tensor
    confidence: Tensor
    doubt: Tensor
    gradient: Tensor
    memory: Memory

    def take(self, rows: Tensor) -> Self:
        """Some of them, rows (m,) int64."""
        names = ("rows", "x", "x_target", "label", "confidence", "doubt", "gradient")
        memory = {name: tensor[rows] for name, tensor in self.memory.items()}
        return replace(self, memory=memory, **{name: getattr(self, name)[rows] for name in names})

    def go(self, tried: Tried) -> Self:
        """Where they are after a step: at tried.x, or where they were if it was refused."""
        moved = {"x": tried.x, "doubt": tried.doubt, "gradient": tried.gradient}
        if not tried.accepted.all():
            for name, there in moved.items():
                moved[name] = torch.where(
                    per_example(tried.accepted, there), there, getattr(self, name)
                )
        return replace(self, **moved)


@dataclass(frozen=True)
class Tried:
    """What became of stepping to x (M, C, H, W): what the model says there, and whether it may stay, (M,) bool."""

    x: Tensor
    doubt: Tensor
    gradient: Tensor
    accepted: Tensor


@dataclass(frozen=True)
class Start:
    """Where a walk sets out from if its confidence allows, x (B, C, H, W), and its cost, (B,) or a number."""

    x: Tensor
    forwards: Tensor | int = 0
    backwards: Tensor | int = 0


@dataclass
class Record:
    """What a walk has found so far, as a whole batch. passes counts forwards and backwards of those still walking."""

    x_adv: Tensor
    forwards: Tensor
    backwards: Tensor
    path: Tensor | None
    vertices: int = 0
    passes: tuple[int, int] = (0, 0)

    @classmethod
    def of(cls, x: Tensor, vertices: int | None) -> Self:
        """Of a walk that sets out from x (B, C, H, W), for so many vertices of a path, if one is kept."""
        none = torch.zeros(len(x), dtype=torch.int64, device=x.device)
        record = cls(
            x.clone(),
            none,
            none.clone(),
            None if vertices is None else x.new_empty(vertices, *x.shape),
        )
        record.vertex(torch.arange(0), x[:0])
        return record

    def asked(self, gradient: bool) -> None:
        """The model saw those who still walk."""
        self.passes = (self.passes[0] + 1, self.passes[1] + gradient)

    def vertex(self, rows: Tensor, x: Tensor) -> None:
        """One more vertex of the path: x (M, C, H, W) of some rows, what it was of the others."""
        if self.path is not None:
            self.x_adv[rows] = x
            self.path[self.vertices] = self.x_adv
            self.vertices += 1

    def leave(self, rows: Tensor, x: Tensor) -> None:
        """Some rows (M,) walk no further than x (M, C, H, W)."""
        self.x_adv[rows] = x
        self.forwards[rows] += self.passes[0]
        self.backwards[rows] += self.passes[1]

    def finished(self) -> Perturbed:
        """The result; a path that ended early stays where it is."""
        if self.path is not None:
            self.path[self.vertices :] = self.x_adv
        return Perturbed(self.x_adv, self.forwards, self.backwards, self.path)


class TargetWalk(Attack):
    """Steps towards x_target; one is taken where the confidence in the label predicted for x stays within max_drop.

    A step costs a forward pass, which judges the image stepped to, and a backward pass through the same graph, which
    says where the next one goes; the last step needs no backward pass. Examples that are done leave the batch. Where
    the model's answer is no number, nothing moves.

    Needs batch.x_target (B, C, H, W). Returns x_adv (B, C, H, W) and, if keep_path, the path (T, B, C, H, W): x, the
    start if there is one, and the image after each of the steps; who did not move repeats the last image.
    """

    needs_float32: ClassVar[bool] = True

    steps: int = Field(default=100, ge=1, description="number of steps tried")
    max_drop: Confidence = Field(
        default=0.05, ge=0, le=1, description="confidence that may be lost on the way"
    )
    strict: bool = Field(default=False, description="refuse a loss of exactly max_drop too")
    keep_path: bool = Field(default=False, description="return every image on the way")

    @property
    def wants_target(self) -> bool:
        return True

    @abstractmethod
    def _start(self, model: nn.Module, batch: Batch, rng: Draws) -> Start | None:
        """Where to set out from, if not from x."""

    @abstractmethod
    def _outset(self, x: Tensor) -> Memory:
        """What is remembered of everybody before the first step."""

    @abstractmethod
    def _step(self, walkers: Walkers, bounds: Bounds) -> tuple[Tensor, Memory]:
        """New images (M, C, H, W) to try, a tensor of their own, and what is remembered whether accepted or not."""

    @abstractmethod
    def _settle(self, memory: Memory, accepted: Tensor) -> tuple[Memory, Tensor]:
        """What is remembered now that some steps were accepted (M,) bool, and who walks on, (M,) bool."""

    def _seen(self, x: Tensor, bounds: Bounds) -> Tensor:
        """What the model sees of x, and what is returned."""
        return x

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        start = self._start(model, batch, rng)
        record = Record.of(
            batch.x, 1 + (start is not None) + self.steps if self.keep_path else None
        )
        walkers = self._walkers(model, batch)
        record.asked(gradient=True)
        if start is not None:
            record.forwards += start.forwards
            record.backwards += start.backwards
            walkers = walkers.go(self._try(model, start.x, walkers, batch.bounds, last=False))
            record.asked(gradient=True)
            record.vertex(walkers.rows, self._seen(walkers.x, batch.bounds))
        walkers = self._walk(model, walkers, batch.bounds, record)
        record.leave(walkers.rows, self._seen(walkers.x, batch.bounds))
        return record.finished()

    def _walkers(self, model: nn.Module, batch: Batch) -> Walkers:
        """Everybody, at x."""
        logits, gradient = logits_and_gradient(
            model, lambda z, _: log_odds(z, z.argmax(1)), batch.x, batch.y
        )
        label = logits.argmax(1)
        confidence = confidence_in(logits, label)
        rows = torch.arange(len(batch), device=batch.x.device)
        memory = self._outset(batch.x)
        return Walkers(
            rows, batch.x, batch.targets, label, confidence, 1 - confidence, gradient, memory
        )

    def _walk(self, model: nn.Module, walkers: Walkers, bounds: Bounds, record: Record) -> Walkers:
        """Take all the steps: who is still walking after the last one."""
        for left in reversed(range(self.steps)):
            if not len(walkers.rows):
                break
            x, memory = self._step(walkers, bounds)
            tried = self._try(model, x, walkers, bounds, last=left == 0)
            record.asked(gradient=left > 0)
            memory, going = self._settle(memory, tried.accepted)
            walkers = replace(walkers.go(tried), memory=memory)
            record.vertex(walkers.rows, self._seen(walkers.x, bounds))
            done = (~going).nonzero().squeeze(1)
            if len(done):
                record.leave(walkers.rows[done], self._seen(walkers.x[done], bounds))
                walkers = walkers.take(going.nonzero().squeeze(1))
        return walkers

    def _try(
        self, model: nn.Module, x: Tensor, walkers: Walkers, bounds: Bounds, *, last: bool
    ) -> Tried:
        """Show x to the model; the last one's gradient is not asked for."""
        seen = self._seen(x, bounds)
        if last:
            logits, gradient = logits_of(model, seen), walkers.gradient
        else:
            logits, gradient = logits_and_gradient(model, log_odds, seen, walkers.label)
            if seen is not x:
                gradient = gradient.masked_fill(seen != x, 0)  # what was cut off is not felt
        confidence = confidence_in(logits, walkers.label)
        drop = walkers.confidence - confidence
        return Tried(
            x,
            1 - confidence,
            gradient,
            drop < self.max_drop if self.strict else drop <= self.max_drop,
        )


def confidence_in(logits: Tensor, label: Tensor) -> Tensor:
    """The probability of a label (B,): logits (B, K) to (B,)."""
    return logits.softmax(1).gather(1, label.unsqueeze(1)).squeeze(1)
