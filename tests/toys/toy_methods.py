"""Methods that misbehave, or whose outcome is known, for the tests of the machinery; see
`--registry tests/toys`.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Any, ClassVar, Literal

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.data import (
    Batch,
    Curves,
    Examples,
    Finding,
    Interval,
    Journal,
    Perturbed,
    Scored,
    Split,
    TensorSplit,
)
from invspec.defences.standard import Standard
from invspec.kinds import Attack, Check, Dataset, Measure, Model, SplitName
from invspec.ops.draws import Draws, Stream
from invspec.ops.types import Shape
from invspec.scoring.rows import mean


class Shift(Attack):
    """Add the same number to every pixel."""

    by: float = Field(default=0.25, description="what is added")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return Perturbed.costing((batch.x + self.by).clamp(*batch.bounds), forwards=3, backwards=2)


class Noise(Attack):
    """Replace every image by noise: what the draws of a task are can be read off it."""

    common: bool = Field(default=False, description="noise that all tasks share")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        rng.integers(7, (len(batch),))  # a first call, so that this one is the second
        source = rng.named("common") if self.common else rng
        return Perturbed.costing(
            source.uniform(tuple(batch.x.shape)).to(batch.x), forwards=0, backwards=0
        )


class Ascent(Attack):
    """Climb the loss with the gradient as the model gives it, so that the last bits of a gradient
    show.
    """

    steps: int = Field(default=5, description="number of updates")
    keep_path: bool = Field(default=False, description="keep every image on the way")

    @property
    def path_vertices(self) -> int:
        return self.steps + 1 if self.keep_path else 0

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        path = [batch.x]
        for _ in range(self.steps):
            x = path[-1].detach().requires_grad_()
            loss = nn.functional.cross_entropy(model(x), batch.y, reduction="sum")
            (gradient,) = torch.autograd.grad(loss, x)
            path.append((path[-1] + 0.1 * gradient).clamp(*batch.bounds))
        found = Perturbed.costing(path[-1], forwards=self.steps, backwards=self.steps)
        return (
            Perturbed(found.x_adv, found.forwards, found.backwards, torch.stack(path))
            if self.keep_path
            else found
        )


class Greedy(Ascent):
    """Ascent that needs more memory than there is for more than `most` examples."""

    most: int = Field(default=3, description="examples that fit")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if len(batch) > self.most:
            raise torch.OutOfMemoryError("toy memory is full")
        return super().perturb(model, batch, rng)


class Breaks(Attack):
    """Return something that no attack may return, or nothing at all."""

    how: str = Field(default="raises", description="raises, exits, nan or shape")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        match self.how:
            case "exits":
                sys.exit("toy exit")
            case "nan":
                return Perturbed.costing(batch.x * torch.nan, forwards=0, backwards=0)
            case "shape":
                return Perturbed.costing(batch.x[:, :, 1:], forwards=0, backwards=0)
            case _:
                raise ValueError("toy trouble\nwith a second line")


class Dies(Attack):
    """Kill the worker: once, where a marker file can tell, or always."""

    marker: str = Field(default="", description="file that says that it happened")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if not self.marker or not Path(self.marker).exists():
            if self.marker:
                Path(self.marker).touch()
            os.kill(os.getpid(), 9)
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


def happens_now(marker: str) -> bool:
    """Whether this is the first call with this marker file, in any process."""
    try:
        Path(marker).touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


class Poison:
    """The state of a process whose device has failed: every later task fails, too."""

    performed, taken = 0, False


class Poisons(Attack):
    """After some tasks of a process the device fails, once in a run, and stays unusable there."""

    number: int = Field(default=0, description="tells tasks from one another")
    healthy: int = Field(default=5, description="tasks of a process before it")
    marker: str = Field(default="", description="file that says that it happened")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        Poison.performed += 1
        if Poison.performed > self.healthy and happens_now(self.marker):
            Poison.taken = True
        if Poison.taken:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


class Freezes(Attack):
    """Stop the process, once: it neither ends nor continues."""

    marker: str = Field(default="", description="file that says that it happened")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if happens_now(self.marker):
            os.kill(os.getpid(), signal.SIGSTOP)
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


class Occupies(Attack):
    """Hold memory for a while; a file in the folder says so."""

    number: int = Field(default=0, description="tells tasks from one another")
    folder: str = Field(default="", description="a file for each task that holds memory")
    seconds: float = Field(default=0.5, description="seconds a batch")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        held = Path(self.folder, str(self.number))
        held.touch()
        time.sleep(self.seconds)
        held.unlink()
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


class NeedsAll(Attack):
    """Need the memory of the whole device: fail while another task holds some.

    The first attempt, unless the device is quiet, waits for such a task.
    """

    folder: str = Field(default="", description="a file for each task that holds memory")
    marker: str = Field(default="", description="file that says that there was an attempt")
    quiet: bool = Field(default=False, description="there is no other task")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        end = time.monotonic() + 60
        if happens_now(self.marker):
            while (
                not self.quiet and not any(Path(self.folder).iterdir()) and time.monotonic() < end
            ):
                time.sleep(0.01)
        if self.quiet or any(Path(self.folder).iterdir()):
            raise torch.OutOfMemoryError("toy memory is full")
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


class HeavyNet(nn.Module):
    """A linear net that runs out of memory for more than `most` rows, 0 for no limit."""

    most: ClassVar[int] = 0

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.last = nn.Linear(pixels, classes)
        self.rows: list[int] = []

    def forward(self, x: Tensor) -> Tensor:
        self.rows.append(len(x))
        if 0 < self.most < len(x):
            raise torch.OutOfMemoryError("toy memory is full")
        return self.last(x.flatten(1))


class Heavy(Model):
    """A net of which few rows fit into memory."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return HeavyNet(shape[0] * shape[1] * shape[2], classes)


class Sleeps(Attack):
    """Take time, in short naps."""

    seconds: float = Field(default=60.0, description="seconds a batch")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        end = time.monotonic() + self.seconds
        while time.monotonic() < end:
            time.sleep(0.02)
        return Perturbed.costing(batch.x, forwards=0, backwards=0)


class Plodding(Standard):
    """Standard training that rests after each epoch, so that a test can kill it midway."""

    nap: float = Field(default=0.1, description="seconds after an epoch")

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        return super().train(model, data, rng, Resting(journal, self.nap))


class Resting(Journal):
    """Another journal, with a nap after each state that it keeps."""

    def __init__(self, journal: Journal, nap: float) -> None:
        self.resume, self.step = journal.resume, journal.step
        self.journal, self.nap = journal, nap

    def save(self, state: dict[str, Any]) -> None:
        self.journal.save(state)
        time.sleep(self.nap)


class Recorded(Plodding):
    """Plodding that keeps every state, and writes a line with its process for each."""

    log: str = Field(default="", description="file of the lines")

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        return super().train(model, data, rng, Recording(journal, Path(self.log)))


class Recording(Journal):
    """Another journal, which writes a line into a file after each state that it keeps."""

    def __init__(self, journal: Journal, log: Path) -> None:
        self.resume, self.step = journal.resume, journal.step
        self.journal, self.log = journal, log
        # the store's journal would leave most states out
        vars(journal).update(pause=0.0, share=1.0, _due=0.0)

    def save(self, state: dict[str, Any]) -> None:
        self.journal.save(state)
        with self.log.open("a") as file:
            file.write(f"{os.getpid()}\n")


class TiedNet(nn.Module):
    """Two names for one weight, in a row."""

    def __init__(self, pixels: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(pixels, pixels)
        self.second = nn.Linear(pixels, pixels)
        self.second.weight = self.first.weight
        self.last = nn.Linear(pixels, classes)
        self.register_buffer("pixel_std", torch.tensor([0.3]))

    def forward(self, x: Tensor) -> Tensor:
        return self.last(self.second(self.first(x.flatten(1)).relu()).relu())


class Tied(Model):
    """A standardised net with tied weights."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return TiedNet(shape[0] * shape[1] * shape[2], classes)


class Fatal(Model):
    """Kill the process that builds it."""

    def build(self, shape: Shape, classes: int) -> nn.Module:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError


class Gap(Measure):
    """Mean distance between the pixels of two attacks."""

    takes = (2, 2)

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        first, second = examples
        distance = (first.x_adv - second.x_adv).abs().flatten(1).mean(dim=1)
        return Scored([mean(distance, first.judged.index)])


class Uneven(Dataset):
    """Two classes, one with three examples and one with the rest."""

    n: int = Field(default=12, ge=4, description="examples of each split")

    @property
    def shape(self) -> Shape:
        return (1, 2, 2)

    @property
    def classes(self) -> int:
        return 2

    def count(self, split: SplitName) -> int:
        return self.n

    def load(self, split: SplitName) -> TensorSplit:
        pixels = Stream(f"uneven {split}").uniform((self.n, *self.shape))
        return TensorSplit(pixels, (torch.arange(self.n) > 2).long())


class Stated(Check):
    """Find what its field says of an attack, and how many images it saw."""

    about_attack: ClassVar[bool] = True

    status: Literal["passes", "fails"] = Field(default="passes", description="the finding")
    images: int = Field(default=1000, description="images that it looks at")

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        n = min(self.images, len(examples.judged.index))
        reason, hint = ("the toy is unwell", "mend the toy") if self.status == "fails" else ("", "")
        return Finding(self.status, Interval(0.5, 0.25, 0.75, n), 0.125, reason, hint)


class Crashes(Check):
    """Raise an error instead of finding anything."""

    def examine(
        self, model: nn.Module, attack: Attack | None, examples: Examples, rng: Draws
    ) -> Finding:
        raise ValueError("toy trouble")
