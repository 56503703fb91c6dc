"""What a training reports: running means of its loss, accuracy and metrics, without waiting for the device."""

from __future__ import annotations

import math
import time

import torch
from torch import Tensor

from invspec.data import Journal
from invspec.errors import InvspecError
from invspec.training.objective import Objective

_SECONDS_BETWEEN_REPORTS = 0.5


class Log:
    """The loss, the accuracy and what else is metrics of every update of an epoch; of soft labels, any that none exceeds
    is right.

    They stay on the device and are read a few times a second, since reading waits for the device.
    """

    def __init__(self, journal: Journal, epoch: int, steps: int, total: int) -> None:
        self.journal, self.epoch, self.steps, self.total = journal, epoch, steps, total
        self.names: tuple[str, ...] = ()
        self.unread: list[Tensor] = []
        self.read: list[list[float]] = []
        self.last = time.monotonic()

    def add(self, objective: Objective, y: Tensor) -> None:
        prediction = objective.logits.argmax(1)
        right = (
            prediction == y if y.ndim == 1 else y.gather(1, prediction[:, None])[:, 0] == y.amax(1)
        )
        numbers = {
            "loss": objective.loss,
            "accuracy": right.to(objective.loss.dtype).mean(),
            **objective.metrics,
        }
        self.names = tuple(numbers)
        self.unread.append(torch.stack(list(numbers.values())).detach())
        if time.monotonic() - self.last > _SECONDS_BETWEEN_REPORTS:
            self.report()

    def report(self) -> None:
        """Tell the journal of what came since the last report. Raises InvspecError at a loss that is not finite."""
        if not self.unread:
            return
        latest: list[list[float]] = torch.stack(self.unread).tolist()
        for step, (loss, *_) in enumerate(latest, start=len(self.read) + 1):
            if not math.isfinite(loss):
                place = f"epoch {self.epoch + 1}, step {step} of {self.steps}"
                raise InvspecError(
                    f"the loss is {loss} in {place}",
                    hint="lower lr, or let one_cycle raise it slowly",
                )
        self.read += latest
        self.unread, self.last = [], time.monotonic()
        self.journal.step(
            self.epoch * self.steps + len(self.read), self.total, **self.means(latest)
        )

    def means(self, read: list[list[float]]) -> dict[str, float]:
        """The mean of each number over some updates."""
        return {
            name: sum(column) / len(read)
            for name, column in zip(self.names, zip(*read, strict=True), strict=True)
        }
