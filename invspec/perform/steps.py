"""How long a step of a net takes in several precisions, and which of them agree with float32."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from invspec import memory
from invspec.kinds import HasPrecision, Precision
from invspec.ops.modules import moved
from invspec.ops.switches import multiplying_in_tf32
from invspec.perform.fresh import fresh
from invspec.perform.proxies import Bfloat16
from invspec.tasks import Train

# The largest relative rounding error of a number: half the distance to the next one.
ROUNDING: dict[Precision, float] = {"float32": 2**-24, "tf32": 2**-11, "bfloat16": 2**-8}
# Errors of single numbers that a net may add up to. Fresh nets of the example specs add up to 2
# at most, and a VGG16 behind young batch norms to 15; a result that is wrong has hundreds.
ERRORS = 32
# A lower precision must save at least this share of the time.
GAIN = 0.05
# Seconds for all measurements of a net, and the number of steps in each precision.
SECONDS, LEAST, MOST = 2.0, 3, 25
# Images of a step, unless the training says, and of the first one.
BATCH, FIRST = 64, 4

Clock = Callable[[], float]
Build = Callable[[Train, torch.device], "list[Step]"]


@dataclass(frozen=True)
class Step:
    """A pass through a net, forward and back, in one precision.

    wanted: what the loss is differentiated by; None for the images.
    """

    net: nn.Module
    precision: Precision
    wanted: Sequence[nn.Parameter] | None

    def __call__(self, x: Tensor, y: Tensor) -> tuple[Tensor, ...]:
        """The gradients of the cross-entropy of x (B, C, H, W) and y (B,)."""
        x = x.detach().requires_grad_(self.wanted is None)
        with multiplying_in_tf32(self.precision == "tf32"):
            loss = F.cross_entropy(self.net(x), y)
            gradients = cast(
                tuple[Tensor | None, ...],
                torch.autograd.grad(loss, self.wanted or [x], allow_unused=True),
            )
        return tuple(gradient for gradient in gradients if gradient is not None)

    def judge(self, x: Tensor, y: Tensor) -> tuple[Tensor, Tensor]:
        """Logits (B, K) and their cross-entropy, in eval mode, where nothing is random."""
        training = self.net.training
        with multiplying_in_tf32(self.precision == "tf32"), torch.no_grad():
            logits = self.net.eval()(x)
        self.net.train(training)
        return logits, F.cross_entropy(logits, y)


@dataclass(frozen=True)
class Finding:
    """The median of the seconds of a step, and whether its results agree with those in float32."""

    seconds: float
    agrees: bool


@dataclass(frozen=True)
class Comparison:
    """Findings by precision, on batches of a size. There are none if a step in float32 fails."""

    findings: Mapping[Precision, Finding]
    batch_size: int

    @property
    def best(self) -> Precision:
        """The fastest precision that agrees and saves at least GAIN of the time; else float32."""
        best: Precision = "float32"
        limit = (1 - GAIN) * self.findings[best].seconds if self.findings else 0.0
        for precision, finding in self.findings.items():
            if finding.agrees and finding.seconds <= limit:
                best, limit = precision, finding.seconds
        return best


def training_steps(train: Train, device: torch.device) -> list[Step]:
    """A step of a training in each precision that its device may be faster in."""
    net = moved(fresh(train), device).train()
    weights = [weight for weight in net.parameters() if weight.requires_grad]
    lower: tuple[Precision, ...] = ("tf32", "bfloat16") if device.type == "cuda" else ("bfloat16",)
    return [
        Step(_proxy(train, precision, net), precision, weights) for precision in ("float32", *lower)
    ]


def search_steps(train: Train, device: torch.device) -> list[Step]:
    """A step of an attack on a trained net, in each precision in which attacks search."""
    net = moved(train.model.deploy(fresh(train)), device)
    return [Step(net, "float32", None), Step(Bfloat16(net).eval(), "bfloat16", None)]


def _proxy(train: Train, precision: Precision, net: nn.Module) -> nn.Module:
    defence = train.defence.model_copy(update={"precision": precision})
    assert isinstance(defence, HasPrecision)
    return defence.proxy(net)


def compare(
    build: Build, train: Train, device: torch.device, clock: Clock = time.perf_counter
) -> Comparison:
    """Time steps in turns, for about SECONDS, on random images: a batch of the training or less.

    A step agrees if its gradients are finite, and its logits differ from those in float32 by at
    most ERRORS rounding errors of its precision, relative to their l2 norm, and so does the loss.
    Steps that fail are left out. There are no findings if the net itself cannot be built.
    """
    images = _images(train, device)

    def seconds(step: Step, rows: int) -> float:
        start = clock()
        step(*(part[:rows] for part in images))
        _wait_for(device)
        return clock() - start

    # nets may draw dropout masks
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        steps = [step for step in _built(build, train, device) if _works(step, images, FIRST)]
        if not steps or steps[0].precision != "float32":
            return Comparison({}, 0)
        affordable = SECONDS / (len(steps) * (LEAST + 1))
        rows = int(FIRST * affordable / max(seconds(steps[0], FIRST), 1e-6))
        rows = _fitting(steps, images, max(FIRST, rows))
        times = _in_turns(steps, lambda step: seconds(step, rows), clock)
        images = images[0][:rows], images[1][:rows]
        findings: dict[Precision, Finding] = {
            step.precision: Finding(median(times[step.precision]), _agrees(step, steps[0], images))
            for step in steps
        }
    return Comparison(findings, rows)


def _images(train: Train, device: torch.device) -> tuple[Tensor, Tensor]:
    """Uniform noise (B, C, H, W) in [0, 1] and labels (B,), the same in every call."""
    rows, generator = getattr(train.defence, "batch_size", BATCH), torch.Generator().manual_seed(0)
    x = torch.rand(rows, *train.dataset.shape, generator=generator)
    y = torch.randint(train.dataset.classes, (rows,), generator=generator)
    return x.to(device), y.to(device)


def _built(build: Build, train: Train, device: torch.device) -> list[Step]:
    try:
        return build(train, device)
    except Exception:
        # the training itself will say why
        return []


def _works(step: Step, images: tuple[Tensor, Tensor], rows: int) -> bool:
    """Whether a step succeeds. The first one is slow, and starts nets that adapt to their data."""
    try:
        step(*(part[:rows] for part in images))
    except Exception:
        # a kernel may be missing, or memory; if float32 fails, the task itself will say why
        return False
    return True


def _fitting(steps: Sequence[Step], images: tuple[Tensor, Tensor], rows: int) -> int:
    """The rows, halved until every step fits into memory; at most those of the images."""
    rows = min(rows, len(images[0]))
    while rows > FIRST and not all(_works(step, images, rows) for step in steps):
        memory.release()
        rows = max(FIRST, rows // 2)
    return rows


def _in_turns(
    steps: Sequence[Step], seconds: Callable[[Step], float], clock: Clock
) -> dict[Precision, list[float]]:
    """The seconds of each step, by precision, for about SECONDS."""
    times: dict[Precision, list[float]] = {step.precision: [] for step in steps}
    start = clock()
    for turn in range(MOST):
        for step in steps:
            times[step.precision].append(seconds(step))
        if turn + 1 >= LEAST and clock() - start > SECONDS:
            break
    return times


def _agrees(step: Step, reference: Step, images: tuple[Tensor, Tensor]) -> bool:
    if not all(bool(gradient.isfinite().all()) for gradient in step(*images)):
        return False
    tolerance = ERRORS * ROUNDING[step.precision]
    pairs = zip(step.judge(*images), reference.judge(*images), strict=True)
    return all(bool((got - exact).norm() <= tolerance * exact.norm()) for got, exact in pairs)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
