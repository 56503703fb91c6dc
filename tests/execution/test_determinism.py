"""Settings under which a task gives the same bits each time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import backends

from invspec.execution.determinism import CUBLAS, PRECISION, reproducible, settle

CPU, CUDA = torch.device("cpu"), torch.device("cuda")


def settings() -> dict[str, Any]:
    """Everything that `reproducible` may change; None where torch refuses to read."""

    def read(switch: Any) -> Any:
        try:
            return switch()
        except RuntimeError:
            return None

    precision = {f"precision {n}": getattr(s.owner, s.name) for n, s in enumerate(PRECISION)}
    return {
        **precision,
        "threads": torch.get_num_threads(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
        "only warns": torch.is_deterministic_algorithms_warn_only_enabled(),
        "fills": torch.utils.deterministic.fill_uninitialized_memory,
        "benchmark": backends.cudnn.benchmark,
        "cudnn": backends.cudnn.deterministic,
        "old matmul": read(lambda: backends.cuda.matmul.allow_tf32),
        "old cudnn": read(lambda: backends.cudnn.allow_tf32),
        "cublas": os.environ.get(CUBLAS),
    }


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test does, others find torch as it was."""
    with reproducible(CUDA):
        yield


DETERMINISTIC = {
    "deterministic": True,
    "only warns": True,
    "fills": False,
    "benchmark": False,
    "cudnn": True,
    "cublas": ":4096:8",
}
FLOAT32 = {
    "old matmul": False,
    "old cudnn": False,
    **{f"precision {n}": "ieee" for n in range(len(PRECISION))},
}


def unsettle() -> None:
    """What a plug-in might do."""
    torch.set_num_threads(2)
    torch.use_deterministic_algorithms(False)
    torch.utils.deterministic.fill_uninitialized_memory = True
    backends.cudnn.benchmark, backends.cudnn.deterministic = True, False
    os.environ.pop(CUBLAS, None)
    backends.cudnn.allow_tf32 = backends.cuda.matmul.allow_tf32 = True


def test_a_gpu_uses_deterministic_kernels_and_full_precision() -> None:
    unsettle()
    with reproducible(CUDA):
        assert settings() == {**DETERMINISTIC, **FLOAT32, "threads": 1}


def test_a_cpu_uses_one_thread_and_full_precision() -> None:
    unsettle()
    before = settings()
    with reproducible(CPU):
        assert settings() == {**before, **FLOAT32, "threads": 1}


@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("precision", ["none", "tf32", "ieee"])
def test_all_settings_are_restored(device: torch.device, precision: str) -> None:
    unsettle()
    backends.fp32_precision = precision  # pyright: ignore[reportAttributeAccessIssue]
    before = settings()
    with pytest.raises(ZeroDivisionError), reproducible(device):
        raise ZeroDivisionError
    assert settings() == before


@pytest.mark.parametrize("general", ["none", "tf32", "ieee"])
def test_a_precision_that_mkldnn_has_for_itself_does_not_become_the_general_one(
    general: str,
) -> None:
    # what torch.backends.mkldnn.flags does at its end
    set_own = torch._C._set_fp32_precision_setter  # pyright: ignore[reportAttributeAccessIssue]
    set_own("mkldnn", "all", "ieee")
    try:
        backends.fp32_precision = general  # pyright: ignore[reportAttributeAccessIssue]
        before = settings()
        with reproducible(CPU):
            assert settings() == {**before, **FLOAT32, "threads": 1}
        assert settings() == before
    finally:
        set_own("mkldnn", "all", "none")


def test_the_newer_switches_overrule_no_task() -> None:
    with reproducible(CUDA):
        backends.fp32_precision = "tf32"  # pyright: ignore[reportAttributeAccessIssue]
        unsettle()
        settle(CUDA)
        found = settings()
        assert found == {**DETERMINISTIC, **FLOAT32, "threads": 1, "cublas": None}


@pytest.mark.parametrize(
    ("given", "expected"), [(":16:8", ":16:8"), (":0:0", ":4096:8"), (None, ":4096:8")]
)
def test_a_deterministic_workspace_of_the_user_is_kept(
    monkeypatch: pytest.MonkeyPatch, given: str | None, expected: str
) -> None:
    monkeypatch.delenv(CUBLAS, raising=False)
    if given is not None:
        monkeypatch.setenv(CUBLAS, given)
    with reproducible(CUDA):
        assert os.environ[CUBLAS] == expected
    assert os.environ.get(CUBLAS) == given


def test_an_operation_without_a_deterministic_kernel_runs_with_a_warning() -> None:
    with reproducible(CUDA), pytest.warns(UserWarning, match="deterministic"):
        # in deterministic mode torch objects to it on a CPU, too
        torch.zeros(3).put_(torch.tensor([0]), torch.ones(1))
