"""Where passes are recorded, and what a failed capture leaves behind."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, train

from invspec.attacks.pgd import PGD
from invspec.data import Batch
from invspec.execution.determinism import reproducible
from invspec.models.lenet import LeNet
from invspec.ops.draws import PerExample
from invspec.perform import cuda_graphs
from invspec.perform.cuda_graphs import VARIABLE, CudaRecorder, recorder_on
from invspec.perform.graphs import EAGER, Graphs
from invspec.perform.proxies import Padded, deployed, searched

CUDA = torch.device("cuda", 0)


def test_nets_on_a_cpu_are_called_as_they_are() -> None:
    net = deployed(train(), Memory())
    assert recorder_on(torch.device("cpu")) is None
    assert net.graphs is None
    assert searched(net, "bfloat16").graphs is None


def test_nets_on_a_gpu_are_recorded_unless_the_user_says_no(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    assert isinstance(recorder_on(CUDA), CudaRecorder)
    monkeypatch.setenv(VARIABLE, "off")
    assert recorder_on(CUDA) is None


def test_deployed_and_searched_nets_are_recorded_each_for_itself(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("invspec.perform.proxies.recorder_on", lambda device: CudaRecorder(device))
    net = deployed(train(seed=9), Memory())
    low = searched(net, "bfloat16")
    assert isinstance(net.graphs, Graphs)
    assert isinstance(low.graphs, Graphs)
    assert (net.graphs.net, low.graphs.net) == (net.net, low.net)
    assert net.graphs.recorder is not low.graphs.recorder


class Cuda:
    """As much of torch.cuda as a capture needs; it writes down what happens.

    A capture fails if work asks for it, and then leaves its stream set, as torch's does.
    """

    def __init__(self) -> None:
        self.happened: list[str] = []
        self.stream_in_use = "main"

    def graph_pool_handle(self) -> str:
        return "pool"

    def Stream(self, device: torch.device) -> Any:
        cuda = self

        class Stream:
            def wait_stream(self, other: Any) -> None:
                cuda.happened.append("side waits")

        return Stream()

    def current_stream(self) -> Any:
        cuda = self

        class Stream:
            def wait_stream(self, other: Any) -> None:
                cuda.happened.append("main waits")

        return Stream()

    def current_device(self) -> int:
        return 0

    @contextmanager
    def device(self, device: torch.device) -> Generator[None]:
        yield

    @contextmanager
    def stream(self, stream: Any) -> Generator[None]:
        before, self.stream_in_use = self.stream_in_use, "side"
        try:
            yield
        finally:
            self.stream_in_use = before

    class CUDAGraph:
        def replay(self) -> None: ...

    @contextmanager
    def graph(self, graph: Any, pool: Any, stream: Any, capture_error_mode: str) -> Generator[None]:
        assert (self.stream_in_use, pool) == ("side", "pool")
        self.happened.append("capture")
        self.stream_in_use = "capturing"
        try:
            yield
        except RuntimeError:
            raise RuntimeError("capture was invalidated") from None
        self.stream_in_use = "side"

    def get_sync_debug_mode(self) -> int:
        return 0

    def set_sync_debug_mode(self, mode: int | str) -> None:
        self.happened.append(f"syncs: {mode}")


@pytest.fixture
def cuda(monkeypatch: pytest.MonkeyPatch) -> Cuda:
    stand_in = Cuda()
    for name in (
        *("graph_pool_handle", "Stream", "current_stream", "current_device", "device", "stream"),
        *("CUDAGraph", "graph", "get_sync_debug_mode", "set_sync_debug_mode"),
    ):
        monkeypatch.setattr(torch.cuda, name, getattr(stand_in, name))
    monkeypatch.setattr(CudaRecorder, "failed", [])

    def end(device: int, pool: str) -> None:
        stand_in.happened.append(f"end of {pool} on {device}")

    monkeypatch.setattr(torch._C, "_cuda_endAllocateToPool", end, raising=False)
    return stand_in


def failing() -> Tensor:
    raise RuntimeError("operation not permitted when stream is capturing")


def test_a_capture_runs_on_a_stream_of_its_own(cuda: Cuda) -> None:
    result, _ = CudaRecorder(CUDA).record(lambda: torch.ones(2))
    assert torch.equal(result, torch.ones(2))
    assert cuda.happened == ["side waits", "capture", "main waits"]
    assert cuda.stream_in_use == "main"


def test_a_failed_capture_gives_stream_and_allocator_back(cuda: Cuda) -> None:
    with pytest.raises(RuntimeError, match="invalidated"):
        CudaRecorder(CUDA).record(failing)
    assert cuda.stream_in_use == "main"
    assert cuda.happened[-2:] == ["main waits", "end of pool on 0"]


def test_after_a_failed_capture_the_process_captures_nothing(cuda: Cuda) -> None:
    with pytest.raises(RuntimeError, match="invalidated"):
        CudaRecorder(CUDA).record(failing)
    with pytest.raises(RuntimeError, match="an earlier capture"):
        CudaRecorder(CUDA).record(lambda: torch.ones(2))
    assert cuda.happened.count("capture") == 1
    # the allocator asks the graph about every stream
    assert len(CudaRecorder.failed) == 1


def test_a_rehearsal_forbids_to_wait_for_the_device_and_then_allows_it_again(cuda: Cuda) -> None:
    with pytest.raises(RuntimeError, match="not permitted"):
        CudaRecorder(CUDA).rehearse(failing)
    assert cuda.happened == ["syncs: error", "side waits", "main waits", "syncs: 0"]
    assert CudaRecorder.failed == []


def test_settings_name_the_precision_of_products() -> None:
    recorder = CudaRecorder(CUDA)
    with reproducible(torch.device("cpu")):
        before = recorder.settings()
        torch.backends.cuda.matmul.allow_tf32 = True
        assert recorder.settings() != before


# ─ on a GPU ───────────────────────────────────────────────────────────────────────────────────────


def lenet() -> nn.Module:
    torch.manual_seed(0)
    return LeNet().build((1, 28, 28), 10).eval().requires_grad_(False).to(CUDA)


def batch() -> Batch:
    x = torch.rand(64, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    return Batch(x.to(CUDA), torch.arange(64, device=CUDA) % 10, torch.arange(64))


@pytest.mark.gpu
def test_pgd_on_replayed_passes_finds_the_same_images() -> None:
    with reproducible(CUDA):
        model = Padded(lenet(), recorder=CudaRecorder(CUDA))
        attack, images = PGD(eps=0.3, steps=40), batch()
        x_adv = [
            attack.perturb(net, images, PerExample("a", images.index, CUDA)).x_adv
            for net in (model, lenet())
        ]
    assert model.graphs is not None
    assert [passes is not None for passes in model.graphs._passes.values()] == [True]
    assert torch.equal(*x_adv)


class Waits(nn.Module):
    """Depends on a number that the host reads."""

    def forward(self, x: Tensor) -> Tensor:
        return x.flatten(1) * (2 if x.sum().item() > 0 else 1)


@pytest.mark.gpu
def test_a_net_that_waits_for_the_device_stays_as_it_is_and_others_are_recorded() -> None:
    graphs, x = Graphs(Waits().eval(), CudaRecorder(CUDA)), batch().x
    for _ in range(EAGER + 2):
        assert torch.equal(graphs(x), 2 * x.flatten(1))
    assert cuda_graphs.CudaRecorder.failed == []
    test_pgd_on_replayed_passes_finds_the_same_images()


@pytest.mark.gpu
def test_a_failed_capture_leaves_the_gpu_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(CudaRecorder, "failed", [])
    monkeypatch.setattr(CudaRecorder, "rehearse", lambda self, work: work())
    graphs, x = Graphs(Waits().eval(), CudaRecorder(CUDA)), batch().x
    for _ in range(EAGER + 2):
        assert torch.equal(graphs(x), 2 * x.flatten(1))
    assert len(CudaRecorder.failed) == 1
    assert torch.cuda.current_stream() == torch.cuda.default_stream()
    torch.cuda.synchronize()
