"""Operations that may use idle cores: which ones, when, and with the same bits."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from workbench import perturb, toys, train

from invspec.execution import threads
from invspec.execution.determinism import reproducible
from invspec.execution.threads import Alone, SpareThreads, several, single, weights_on_one

CPU = torch.device("cpu")
CONVOLUTION = torch.ops.aten.convolution.default
HANGS = "threads_test::hangs"


@pytest.fixture(autouse=True)
def eager(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Every operation is proven when it comes a second time, and pays."""
    monkeypatch.setattr(threads, "RECURRENCES", 2)
    monkeypatch.setattr(threads, "PAYS", float("inf"))
    with reproducible(CPU):
        yield


def ways(spare: SpareThreads) -> dict[str, list[str]]:
    """The ways in which operations are computed, by their names."""
    named: dict[str, list[str]] = {}
    for (func, *_), record in spare._records.items():
        way = record.way.__name__ if record.way is not None and record.pays else "single"
        named.setdefault(func.__name__, []).append(way)
    return named


def net() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(1, 16, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2)),
        *(nn.Conv2d(16, 16, 3), nn.BatchNorm2d(16), nn.ReLU(), nn.AvgPool2d(2)),
        *(nn.Flatten(), nn.Linear(400, 64), nn.ReLU(), nn.Linear(64, 10)),
    )


def trained(spare: SpareThreads | None = None) -> list[Tensor]:
    """Weights after four updates, and the last gradient of the images."""
    model = net()
    x, y = torch.rand(64, 1, 24, 24), torch.randint(10, (64,))
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    gradient = x
    with spare or torch.enable_grad():
        for _ in range(4):
            x = x.detach().requires_grad_()
            optimiser.zero_grad()
            F.cross_entropy(model(x), y).backward()
            optimiser.step()
            assert x.grad is not None
            gradient = x.grad
    return [*model.state_dict().values(), gradient]


def test_a_training_on_idle_cores_gives_the_bits_of_one_thread() -> None:
    spare = SpareThreads(Alone(2))
    found = trained(spare)
    assert all(map(torch.equal, found, trained()))
    assert spare.used == 2
    assert ways(spare)["convolution.default"] == ["several"] * 2


def test_gradients_of_weights_that_threads_would_round_keep_one() -> None:
    x, weight = torch.rand(64, 16, 14, 14), torch.rand(16, 16, 3, 3)
    gradient = torch.rand(64, 16, 14, 14)
    pads = [[1, 1], [1, 1], [1, 1], False, [0, 0], 1]
    operands = (gradient, x, weight, [16], *pads, [True, True, True])
    expected = single(threads.BACKWARD, operands, {}, 1)
    way = threads.proven(threads.BACKWARD, operands, {}, 2)
    assert way is not None
    assert all(map(torch.equal, way(threads.BACKWARD, operands, {}, 2), expected))
    # whatever this machine's kernels allow, this way is right
    found = weights_on_one(threads.BACKWARD, operands, {}, 2)
    assert all(map(torch.equal, found, expected))


@pytest.fixture(scope="module")
def hanging() -> Iterator[torch._ops.OpOverload]:
    """An operation whose result depends on the number of threads."""
    library = torch.library.Library("threads_test", "DEF")
    library.define("hangs(Tensor x) -> Tensor")
    library.impl("hangs", lambda x: x + torch.get_num_threads(), "CPU")
    yield torch.ops.threads_test.hangs.default
    library._destroy()


def test_an_operation_whose_bits_hang_on_threads_keeps_one(
    monkeypatch: pytest.MonkeyPatch, hanging: torch._ops.OpOverload
) -> None:
    monkeypatch.setattr(threads, "CANDIDATES", threads.CANDIDATES | {hanging})
    spare, x = SpareThreads(Alone(2)), torch.zeros(threads.LARGE)
    assert several(hanging, (x,), {}, 2).unique().tolist() == [2]
    with spare:
        found = torch.cat([hanging(x) for _ in range(5)])
    assert found.unique().tolist() == [1]
    assert list(ways(spare).values()) == [["single"]]
    assert spare.used == 1


def test_code_outside_operations_sees_one_thread() -> None:
    class Branching(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(torch.get_num_threads())
            return F.relu(x)

    seen: list[int] = []
    spare, x = SpareThreads(Alone(2)), torch.rand(threads.LARGE)
    with spare:
        for _ in range(4):
            Branching()(x)
    assert spare.used == 2
    assert seen == [1] * 4


def test_other_operations_are_never_tried() -> None:
    spare, x = SpareThreads(Alone(2)), torch.rand(1 << 18)
    with spare:
        for _ in range(4):
            x.sum()
            x.exp()
    assert spare._records == {}


@pytest.mark.parametrize(
    "x",
    [
        torch.eye(256).to_sparse(),
        torch.zeros(256, 256, dtype=torch.complex64),
        torch.zeros(256, 256, device="meta"),
    ],
    ids=["sparse", "complex", "meta"],
)
def test_tensors_that_noise_cannot_replace_keep_one_thread(x: Tensor) -> None:
    spare = SpareThreads(Alone(2))
    with spare:
        for _ in range(4):
            torch.mm(x, torch.ones(256, 256, dtype=x.dtype, device=x.device))
    assert spare._records == {}


def test_functional_transforms_run_on_idle_cores() -> None:
    spare, x, weight = SpareThreads(Alone(2)), torch.rand(64, 1, 24, 24), torch.rand(8, 1, 3, 3)
    gradients = torch.func.vmap(torch.func.grad(lambda x: F.conv2d(x[None], weight).pow(2).sum()))
    with spare:
        found = [gradients(x) for _ in range(4)]
    assert all(torch.equal(gradient, gradients(x)) for gradient in found)
    assert spare.used == 2


def test_small_and_rare_operations_are_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "RECURRENCES", 30)
    spare, small, large = SpareThreads(Alone(2)), torch.rand(9), torch.rand(threads.LARGE)
    with spare:
        for _ in range(29):
            small.relu()
            large.relu()
    assert ways(spare) == {"relu.default": ["single"]}


def test_an_operation_that_takes_longer_keeps_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "PAYS", 0.0)
    spare = SpareThreads(Alone(2))
    trained(spare)
    assert {way for found in ways(spare).values() for way in found} == {"single"}
    assert spare.used == 1


def test_time_is_taken_again_as_other_programs_may_have_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(threads, "AGAIN", 10)
    monkeypatch.setattr(threads, "PAYS", 0.0)
    spare, x = SpareThreads(Alone(2)), torch.rand(threads.LARGE)
    with spare:
        for _ in range(5):
            x.relu()
        monkeypatch.setattr(threads, "PAYS", float("inf"))
        for _ in range(6):
            x.relu()
        assert spare.used == 1
        x.relu()
    assert spare.used == 2


def test_threads_that_the_run_takes_back_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[int] = []

    def record(*arguments: object) -> Tensor:
        used.append(2)
        return several(*arguments)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(threads, "several", record)
    allowance = Alone(2)
    with SpareThreads(allowance):
        x = torch.rand(threads.LARGE)
        for _ in range(3):
            x.relu()
        before = len(used)
        allowance.value = 1
        for _ in range(3):
            x.relu()
    assert before > 0
    assert len(used) == before


def test_other_shapes_and_arguments_are_proven_anew() -> None:
    spare, x, weight = SpareThreads(Alone(2)), torch.rand(8, 4, 32, 32), torch.rand(4, 4, 3, 3)
    with spare:
        for _ in range(3):
            F.conv2d(x, weight)
            F.conv2d(x[1:], weight)
            F.conv2d(x, weight, padding=1)
            F.conv2d(x.contiguous(memory_format=torch.channels_last), weight)
    assert len(ways(spare)["convolution.default"]) == 4


def test_a_proof_writes_into_no_tensor_of_the_task() -> None:
    spare, expected = SpareThreads(Alone(2)), torch.rand(threads.LARGE) - 0.5
    x = expected.clone()
    with spare:
        for _ in range(4):
            x.neg_().relu_().sub_(0.25)
    for _ in range(4):
        expected.neg_().relu_().sub_(0.25)
    assert torch.equal(x, expected)
    assert spare.used == 2


def test_noise_lies_in_memory_as_the_tensor_does_and_keeps_indices() -> None:
    x = torch.zeros(4, 1, 6).expand(4, 3, 6).transpose(0, 2)
    indices = torch.arange(5)
    noise, kept, option = threads._noise([x, indices, 0.5])
    assert (noise.shape, noise.stride(), noise.dtype) == (x.shape, x.stride(), x.dtype)
    assert noise.unique().numel() == 24
    assert torch.equal(kept, indices)
    assert kept is not indices
    assert option == 0.5


def test_an_operation_that_cannot_be_proven_keeps_one_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def lacking(values: object) -> object:
        raise torch.OutOfMemoryError

    monkeypatch.setattr(threads, "_noise", lacking)
    spare = SpareThreads(Alone(2))
    found = trained(spare)
    assert all(map(torch.equal, found, trained()))
    assert spare.used == 1


@pytest.mark.parametrize(
    ("allowed", "task", "device", "is_active"),
    [
        (2, train(), "cpu", True),
        (2, perturb(toys.Shift(), train(threads=2)), "cpu", True),
        (1, train(), "cpu", False),
        (2, train(threads=2), "cpu", False),
        (2, train(), "cuda", False),
    ],
)
def test_nothing_is_watched_where_no_thread_is_spare(
    allowed: int, task: object, device: str, is_active: bool
) -> None:
    spare = SpareThreads(Alone(allowed))
    assert (spare.during(task, torch.device(device)) is spare) == is_active  # pyright: ignore[reportArgumentType]


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_two_threads_give_the_same_bits_on_one_core() -> None:
    x, y = torch.rand(64, 16, 14, 14), torch.rand(64, 16, 14, 14)
    weight = torch.rand(16, 16, 3, 3).requires_grad_()

    def gradient() -> Tensor:
        product = (F.conv2d(x, weight, padding=1) * y).sum()
        return torch.autograd.grad(product, weight)[0]

    torch.set_num_threads(2)
    expected, cores = gradient(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})
    try:
        torch.set_num_threads(1)
        torch.set_num_threads(2)
        assert torch.equal(gradient(), expected)
    finally:
        os.sched_setaffinity(0, cores)
