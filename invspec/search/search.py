"""The state of one attack on one batch: active examples, best images, and the passes they cost."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from invspec.data import Batch, Perturbed
from invspec.ops.norms import per_example
from invspec.search import gradients
from invspec.search.fields import Label
from invspec.search.gradients import Objective, gradient_of


class Search:
    """One attack on a batch of B examples, of which M are still active.

    Every pass through the model goes through a search, which counts it for the active examples;
    attacks do not count passes themselves. Examples that leave (`narrow`) do not return. To work on
    some examples and later on all again, an attack runs an inner search on `active`, whose passes
    are added by `include`.

    rows (M,) int64 are the positions of the active examples in the batch; x (M, C, H, W) and
    y (M,) are their images and labels, and methods take and return tensors for these examples.
    x_adv (M, C, H, W) is the best image offered so far, score (M,) its score; before any offer,
    x and -inf.

    Pass counts are Python integers, the same for all active examples, and are written to an
    example's row when it leaves, together with its image. So counting launches no kernel and does
    not wait for the device, and attacks that keep all examples to the end pay nothing.

    label predicted replaces y by the model's prediction for x, at the cost of a forward pass.
    eot: for a model that draws random numbers, logits, objectives and gradients are means of this
    many passes, each of which is counted (expectation over transformation, Athalye et al. 2018).
    vertices: length T of the path (T, B, C, H, W), if one is kept; its first vertex is x.
    """

    def __init__(
        self,
        model: nn.Module,
        batch: Batch,
        label: Label = "true",
        vertices: int | None = None,
        eot: int | None = None,
    ) -> None:
        self.model, self.batch, self.eot = model, batch, eot or 1
        self._rows: Tensor | None = None  # None: all examples of the batch
        self._x: Tensor | None = batch.x
        self._y: Tensor | None = batch.y
        self._x_adv: Tensor | None = None
        self._score: Tensor | None = None
        self._forwards = self._backwards = 0
        self._written: Perturbed | None = None  # results of examples that have left
        self._path = None if vertices is None else Path.of(batch.x, vertices)
        if label == "predicted":
            self.relabel(self.logits(batch.x).argmax(1))

    # Active examples

    def __len__(self) -> int:
        """Number of active examples, M."""
        return len(self.batch) if self._rows is None else len(self._rows)

    @property
    def rows(self) -> Tensor:
        if self._rows is None:
            return torch.arange(len(self.batch), device=self.batch.x.device)
        return self._rows

    @property
    def x(self) -> Tensor:
        if self._x is None:
            self._x = self.batch.x[self.rows]
        return self._x

    @property
    def y(self) -> Tensor:
        if self._y is None:
            self._y = self.batch.y[self.rows]
        return self._y

    @property
    def active(self) -> Batch:
        """The active examples as a batch, for an inner search or attack."""
        return self.batch if self._rows is None else self.batch.take(self._rows)

    def pick(self, values: Tensor) -> Tensor:
        """The active examples' part of values (B, ...), such as draws for the whole batch."""
        return values if self._rows is None else values[self._rows]

    def relabel(self, y: Tensor) -> None:
        """Attack the labels y (B,) instead of those of the batch."""
        self.batch = replace(self.batch, y=y)
        self._y = y if self._rows is None else None

    def narrow(self, stay: Tensor, x_adv: Tensor | None = None) -> Tensor | None:
        """Keep the examples where stay (M,) bool is true; the others leave with their x_adv.

        x_adv (M, C, H, W) defaults to the best images so far. Returns the positions (m,) int64 of
        those that stay, to index the attack's own tensors; None if no example leaves.
        """
        # nonzero waits for the device; all that follows is skipped if no example leaves
        leaving = (~stay).nonzero().squeeze(1)
        if not len(leaving):
            return None
        staying, rows = stay.nonzero().squeeze(1), self.rows
        self._write(rows[leaving], (self.x_adv if x_adv is None else x_adv)[leaving])
        self._rows, self._x, self._y = rows[staying], None, None
        if self._x_adv is not None and self._score is not None:
            self._x_adv, self._score = self._x_adv[staying], self._score[staying]
        return staying

    # Passes

    def logits(self, x: Tensor) -> Tensor:
        """Logits (M, K) without a graph. x may hold k images of each example: k passes."""
        passes, surplus = divmod(len(x), max(len(self), 1))
        assert not surplus, f"{len(x)} images of {len(self)} active examples"
        self.passed(forwards=passes * self.eot)
        return mean([gradients.logits_of(self.model, x) for _ in range(self.eot)])

    def gradient(self, objective: Objective, x: Tensor) -> Tensor:
        """Gradient (M, C, H, W) of each example's own objective at x."""
        self.passed(forwards=self.eot, backwards=self.eot)
        slopes = [
            gradients.input_gradient(self.model, objective, x, self.y) for _ in range(self.eot)
        ]
        return mean(slopes)

    def logits_and_gradient(self, objective: Objective, x: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (M, K) at x, and the gradient (M, C, H, W) of each example's own objective."""
        self.passed(forwards=self.eot, backwards=self.eot)
        passes = [
            gradients.logits_and_gradient(self.model, objective, x, self.y) for _ in range(self.eot)
        ]
        logits, slopes = zip(*passes, strict=True)
        return mean(logits), mean(slopes)

    def evaluate(self, objective: Objective, x: Tensor, *, gradient: bool = True) -> Evaluation:
        """Logits, objective and gradient at x; no backward pass if the gradient is not needed."""
        passes = [self._evaluate(objective, x, gradient) for _ in range(self.eot)]
        return Evaluation(*map(mean, zip(*passes, strict=True)))

    def _evaluate(self, objective: Objective, x: Tensor, gradient: bool) -> Evaluation:
        """One pass of `evaluate`."""
        leaf = x.detach().requires_grad_(gradient)
        with torch.set_grad_enabled(gradient):
            logits = self.forward(leaf)
            values = objective(logits, self.y)
        slope = self.backward(values, leaf) if gradient else torch.zeros_like(x)
        return Evaluation(logits.detach(), values.detach(), slope)

    def forward(self, x: Tensor) -> Tensor:
        """Logits (M, K), with a graph where gradients are enabled."""
        self.passed(forwards=1)
        return self.model(x)

    def backward(self, values: Tensor, x: Tensor, *, keep_graph: bool = False) -> Tensor:
        """Gradient (M, C, H, W) at x of values (M,), each of its own example."""
        self.passed(backwards=1)
        return gradient_of(values.sum(), x, keep_graph=keep_graph)

    def passed(
        self, forwards: int = 0, backwards: int = 0, positions: Tensor | None = None
    ) -> None:
        """Count passes of the active examples, or of those at positions (m,) among them.

        Only for passes that bypass the methods above, such as those that return features.
        """
        if positions is None:
            self._forwards += forwards
            self._backwards += backwards
        else:
            rows = positions if self._rows is None else self._rows[positions]
            self._add(rows, forwards, backwards)

    def include(self, inner: Perturbed) -> None:
        """Add the passes (M,) of an inner search or attack on `active`."""
        self._add(self._here, inner.forwards, inner.backwards)

    # Best images and result

    @property
    def x_adv(self) -> Tensor:
        return self.x if self._x_adv is None else self._x_adv

    @property
    def score(self) -> Tensor:
        if self._score is None:
            self._score = self.batch.x.new_full((len(self),), -torch.inf)
        return self._score

    def offer(self, x_adv: Tensor, score: Tensor, among: Tensor | None = None) -> None:
        """Keep images (M, C, H, W) whose score (M,) is higher than the best so far.

        among (M,) bool: only images where it is true are considered.
        """
        # an image whose score is NaN is never kept: comparisons with NaN are false
        score = score.to(self.score)
        better = score > self.score if among is None else among & (score > self.score)
        self._x_adv = torch.where(per_example(better, x_adv), x_adv, self.x_adv)
        self._score = torch.where(better, score, self.score)

    def judge(self, objective: Objective, x_adv: Tensor) -> Tensor | None:
        """Offer x_adv, and let examples that are misclassified there leave with it.

        Costs a forward pass. Returns the positions of those that stay, as `narrow` does.
        """
        if not len(self):
            return None
        logits = self.logits(x_adv)
        self.offer(x_adv, objective(logits, self.y))
        return self.narrow(logits.argmax(1) == self.y, x_adv)

    def merge(self, run: Search) -> None:
        """Add an inner search on `active`: its passes, best images and examples that have left."""
        inner = run.result()
        self.include(inner)
        # those that left the run are misclassified: they leave this search too, with that image
        stay = torch.zeros(len(self), dtype=torch.bool, device=run.rows.device)
        stay[run.rows] = True
        score = torch.full_like(self.score, -torch.inf)
        score[run.rows] = run.score
        self.offer(inner.x_adv, score)
        self.narrow(stay, inner.x_adv)

    def vertex(self, x_adv: Tensor) -> None:
        """Add x_adv to the path, if one is kept; examples that left repeat their last image."""
        if self._path is not None:
            self._results.x_adv[self._here] = x_adv
            self._path.append(self._results.x_adv)

    def result(self, x_adv: Tensor | None = None) -> Perturbed:
        """End the search with x_adv (M, C, H, W) for the active examples, by default the best."""
        x_adv = self.x_adv if x_adv is None else x_adv
        if self._written is None and self._path is None:
            return Perturbed.costing(x_adv, self._forwards, self._backwards)
        self._write(self._here, x_adv)
        path = None if self._path is None else self._path.finished(self._results.x_adv)
        return replace(self._results, path=path)

    @property
    def _here(self) -> Tensor | slice:
        return slice(None) if self._rows is None else self._rows

    @property
    def _results(self) -> Perturbed:
        if self._written is None:
            zeros = torch.zeros_like(self.batch.y)
            self._written = Perturbed(self.batch.x.clone(), zeros, zeros.clone())
        return self._written

    def _write(self, rows: Tensor | slice, x_adv: Tensor) -> None:
        self._results.x_adv[rows] = x_adv
        self._add(rows, self._forwards, self._backwards)

    def _add(self, rows: Tensor | slice, forwards: int | Tensor, backwards: int | Tensor) -> None:
        results = self._results
        for total, passes in ((results.forwards, forwards), (results.backwards, backwards)):
            # as few kernels as possible: none for 0 passes, and no indexing for all rows
            if isinstance(rows, slice):
                total.add_(passes)
            elif isinstance(passes, Tensor) or passes:
                total[rows] += passes


def mean(passes: Sequence[Tensor]) -> Tensor:
    """The mean of what several passes gave; of one, its very bits."""
    return passes[0] if len(passes) == 1 else torch.stack(tuple(passes)).mean(0)


class Evaluation(NamedTuple):
    """Logits (M, K), an objective (M,) and its gradient (M, C, H, W), 0 if it was not needed."""

    logits: Tensor
    value: Tensor
    gradient: Tensor


@dataclass
class Path:
    """A path (T, B, C, H, W), of which the first `length` vertices are filled in."""

    images: Tensor
    length: int = 1

    @classmethod
    def of(cls, x: Tensor, vertices: int) -> Path:
        """A path that starts at x."""
        images = x.new_empty(vertices, *x.shape)
        images[0] = x
        return cls(images)

    def append(self, x_adv: Tensor) -> None:
        self.images[self.length] = x_adv
        self.length += 1

    def finished(self, x_adv: Tensor) -> Tensor:
        """The whole path; vertices after its end repeat x_adv."""
        self.images[self.length :] = x_adv
        return self.images
