"""Steps in several precisions: what is timed, what agrees, what is taken."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from workbench import FAKE, toys, train

from invspec.defences.standard import Standard
from invspec.kinds import Precision
from invspec.models.lenet import LeNet
from invspec.models.linear import Linear
from invspec.perform import steps
from invspec.perform.steps import Comparison, Finding, Step, compare, search_steps, training_steps
from invspec.tasks import Train

CPU = torch.device("cpu")
TASK = train(defence=Standard(batch_size=12))


class Net(nn.Module):
    """A linear net whose logits are off by a share of their norm, and which notes its batches."""

    def __init__(self, error: float = 0.0, log: list[str] | None = None, name: str = "") -> None:
        super().__init__()
        with torch.random.fork_rng([]):
            torch.manual_seed(0)
            self.last = nn.Linear(16, 3)
        self.error = error
        self.log, self.name = [] if log is None else log, name
        self.sizes: list[int] = []
        self.delays: Iterator[float] = iter(())

    def forward(self, x: Tensor) -> Tensor:
        self.log.append(self.name)
        self.sizes.append(len(x))
        return (1 + self.error) * self.last(x.flatten(1))


class Failing(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        raise RuntimeError("no kernel")


def step(net: nn.Module, precision: Precision) -> Step:
    return Step(net, precision, list(net.parameters()) or None)


def comparison(*found: Step, seconds: Callable[[], float] | None = None) -> Comparison:
    """The comparison of steps under a clock that ticks once a second, or as told."""
    ticks = itertools.count()
    return compare(lambda task, device: list(found), TASK, CPU, seconds or (lambda: next(ticks)))


def chosen(**findings: tuple[float, bool]) -> Precision:
    named: Any = {name: Finding(*finding) for name, finding in findings.items()}
    return Comparison(named, 8).best


# ─ what is taken ─


@pytest.mark.parametrize(
    ("findings", "expected"),
    [
        ({"float32": (1.0, True), "bfloat16": (0.5, True)}, "bfloat16"),
        ({"float32": (1.0, True), "bfloat16": (0.97, True)}, "float32"),
        ({"float32": (1.0, True), "bfloat16": (1.6, True)}, "float32"),
        ({"float32": (1.0, True), "bfloat16": (0.5, False)}, "float32"),
        ({"float32": (1.0, True), "tf32": (0.6, True), "bfloat16": (0.5, True)}, "bfloat16"),
        ({"float32": (1.0, True), "tf32": (0.5, True), "bfloat16": (0.6, True)}, "tf32"),
        ({"float32": (1.0, True), "tf32": (0.6, True), "bfloat16": (0.5, False)}, "tf32"),
        ({"float32": (1.0, True)}, "float32"),
        ({}, "float32"),
    ],
)
def test_the_fastest_that_agrees_and_saves_five_percent_is_taken(
    findings: dict[str, tuple[float, bool]], expected: str
) -> None:
    assert chosen(**findings) == expected


# ─ what agrees ─


@pytest.mark.parametrize(
    ("precision", "error", "agrees"),
    [
        ("bfloat16", 0.9 * 32 * 2**-8, True),
        ("bfloat16", 1.1 * 32 * 2**-8, False),
        ("tf32", 0.9 * 32 * 2**-11, True),
        ("tf32", 1.1 * 32 * 2**-11, False),
    ],
)
def test_logits_may_be_off_by_32_rounding_errors(
    precision: Precision, error: float, agrees: bool
) -> None:
    found = comparison(step(Net(), "float32"), step(Net(error), precision)).findings
    assert found["float32"].agrees
    assert found[precision].agrees is agrees


def test_a_net_without_finite_gradients_does_not_agree() -> None:
    class Steep(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x) + torch.sqrt(0 * self.last.bias)  # 1 / 0 * 0 behind it

    found = comparison(step(Net(), "float32"), step(Steep(), "bfloat16")).findings
    assert not found["bfloat16"].agrees


def test_dropout_is_no_disagreement() -> None:
    class Dropping(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(F.dropout(x, 0.5, self.training))

    found = comparison(step(Dropping(), "float32"), step(Dropping(), "bfloat16")).findings
    assert found["bfloat16"].agrees


def test_a_precision_that_fails_is_left_out() -> None:
    found = comparison(step(Net(), "float32"), step(Failing(), "bfloat16"))
    assert list(found.findings) == ["float32"]
    assert found.best == "float32"


def test_a_net_that_fails_in_float32_has_no_findings() -> None:
    assert comparison(step(Failing(), "float32"), step(Net(), "bfloat16")).findings == {}


def test_a_net_that_cannot_be_built_has_no_findings() -> None:
    def build(task: Train, device: torch.device) -> list[Step]:
        raise RuntimeError

    assert compare(build, TASK, CPU).findings == {}


# ─ what is timed ─


def test_precisions_take_turns() -> None:
    log: list[str] = []
    comparison(step(Net(log=log, name="a"), "float32"), step(Net(log=log, name="b"), "bfloat16"))
    # first one step in each precision, and one that tells how large a batch may be
    assert "".join(log).startswith("ab" + "a" + "ab" * steps.LEAST)


def test_times_are_medians() -> None:
    now = 0.0

    class Timed(Net):
        def forward(self, x: Tensor) -> Tensor:
            nonlocal now
            now += next(self.delays, 0.0)
            return super().forward(x)

    quick, slow = Timed(), Timed()
    # first steps take no time; of three turns, the second is disturbed
    quick.delays, slow.delays = iter([0, 0, 0, 1, 9, 1]), iter([0, 0, 2, 16, 2])
    found = comparison(step(quick, "float32"), step(slow, "bfloat16"), seconds=lambda: now).findings
    assert [finding.seconds for finding in found.values()] == [1, 2]


def test_batches_are_those_of_the_training_if_there_is_time() -> None:
    net = Net()
    found = comparison(step(net, "float32"), seconds=lambda: 0.0)
    assert found.batch_size == max(net.sizes) == 12


def test_a_slow_net_is_timed_on_few_images_and_in_few_turns() -> None:
    net = Net()
    found = comparison(step(net, "float32"))  # a second a step
    assert found.batch_size == max(net.sizes) == steps.FIRST
    assert len(net.sizes) < 10


def test_a_batch_that_does_not_fit_into_memory_is_halved() -> None:
    class Large(Net):
        def forward(self, x: Tensor) -> Tensor:
            if len(x) > 6:
                raise torch.OutOfMemoryError
            return super().forward(x)

    assert comparison(step(Large(), "float32"), seconds=lambda: 0.0).batch_size == 6


def test_the_generator_of_the_process_is_left_alone() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Dropout(0.5), nn.Linear(16, 3))
    before = torch.get_rng_state()
    comparison(step(net, "float32"), seconds=lambda: 0.0)
    assert torch.equal(torch.get_rng_state(), before)


# ─ steps of trainings and searches ─


def precisions(found: Sequence[Step]) -> list[str]:
    return [step.precision for step in found]


def test_on_a_cpu_a_training_may_be_in_bfloat16() -> None:
    assert precisions(training_steps(TASK, CPU)) == ["float32", "bfloat16"]
    assert precisions(search_steps(TASK, CPU)) == ["float32", "bfloat16"]


@pytest.mark.parametrize("build", [training_steps, search_steps])
def test_the_real_net_agrees_with_itself_in_bfloat16(build: Any) -> None:
    task = train(dataset=FAKE.model_copy(update={"image_shape": (1, 28, 28)}), model=LeNet())
    found = compare(build, task, CPU).findings
    assert list(found) == ["float32", "bfloat16"]
    assert all(finding.agrees and finding.seconds > 0 for finding in found.values())


def test_a_step_of_a_training_differentiates_by_weights_and_one_of_a_search_by_images() -> None:
    x, y = torch.rand(5, 1, 4, 4), torch.zeros(5, dtype=torch.int64)
    task = train(model=Linear())
    weights = training_steps(task, CPU)[0](x, y)
    assert [tuple(gradient.shape) for gradient in weights] == [(3, 16), (3,)]
    for search in search_steps(task, CPU):
        (images,) = search(x, y)
        assert images.shape == x.shape


def test_a_net_of_a_user_can_be_measured() -> None:
    found = compare(search_steps, train(model=toys.Tied()), CPU)
    assert list(found.findings) == ["float32", "bfloat16"]
