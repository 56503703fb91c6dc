"""Running means of loss, accuracy and metrics."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from invspec.data import Journal
from invspec.errors import InvspecError
from invspec.training.loss import StepLoss

_SECONDS_BETWEEN_REPORTS = 0.5


class Log:
    """The numbers of every update of an epoch.

    They stay on the device and are read a few times a second, because each read waits for the
    device.
    """

    def __init__(self, journal: Journal, epoch: int, steps: int, total: int) -> None:
        self.journal, self.epoch, self.steps, self.total = journal, epoch, steps, total
        self.names: tuple[str, ...] = ()
        self.unread: list[Tensor] = []
        self.rows: list[list[float]] = []
        self.last_report = time.monotonic()

    def add(self, loss: StepLoss, y: Tensor) -> None:
        """Add an update on labels y: (B,) int64, or probabilities (B, K)."""
        accuracy = correct(loss.logits, y).to(loss.value.dtype).mean()
        numbers = {"loss": loss.value, "accuracy": accuracy, **loss.metrics}
        self.names = tuple(numbers)
        self.unread.append(torch.stack(list(numbers.values())).detach())
        if time.monotonic() - self.last_report > _SECONDS_BETWEEN_REPORTS:
            self.report()

    def report(self) -> None:
        """Pass new numbers to the journal. Raises InvspecError if a loss is not finite."""
        if not self.unread:
            return
        # waits for the device, once for all updates since the last report
        rows: list[list[float]] = torch.stack(self.unread).tolist()
        for step, (loss, *_) in enumerate(rows, start=len(self.rows) + 1):
            if not math.isfinite(loss):
                raise InvspecError(
                    f"the loss is {loss} in epoch {self.epoch + 1}, step {step} of {self.steps}",
                    hint="lower lr, or raise it slowly with schedule one_cycle",
                )
        self.rows += rows
        self.unread, self.last_report = [], time.monotonic()
        done = self.epoch * self.steps + len(self.rows)
        self.journal.step(done, self.total, **self._means(rows))

    def close(self) -> dict[str, float]:
        """Report the last updates. Returns the mean of each number over the epoch."""
        self.report()
        return self._means(self.rows)

    def _means(self, rows: list[list[float]]) -> dict[str, float]:
        columns = zip(*rows, strict=True)
        return {
            name: sum(column) / len(rows) for name, column in zip(self.names, columns, strict=True)
        }


def correct(logits: Tensor, y: Tensor) -> Tensor:
    """Which predictions are right, (B,).

    If y holds probabilities (B, K), every class with the largest counts as right.
    """
    prediction = logits.argmax(1)
    if y.ndim == 1:
        return prediction == y
    return y.gather(1, prediction[:, None])[:, 0] == y.amax(1)
