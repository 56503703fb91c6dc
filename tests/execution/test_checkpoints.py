"""Checkpoints are complete or absent, and a full disk is one message."""

from __future__ import annotations

import resource
from collections.abc import Generator
from contextlib import contextmanager

import pytest
import torch
from workbench import toys, train

from invspec.execution.checkpoints import Checkpoints
from invspec.execution.disk import Unwritable


@contextmanager
def largest_file(size: int) -> Generator[None]:
    """No file may grow beyond size bytes: the rest of it meets an error as on a full disk."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_the_last_checkpoint_is_loaded(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    assert checkpoints.load(train()) is None
    for epoch in (1, 2):
        weights = {"w": torch.full((3,), float(epoch))}
        checkpoints.save(train(), {"epoch": epoch, "model": weights})
    state = checkpoints.load(train()) or {}
    assert state["epoch"] == 2
    assert torch.equal(state["model"]["w"], torch.full((3,), 2.0))
    assert checkpoints.load(train(seed=1)) is None
    assert list((tmp_path / "partial").iterdir()) == []


def test_a_checkpoint_can_be_deleted_twice(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(train(), {})
    for _ in range(2):
        checkpoints.delete(train())
    assert checkpoints.load(train()) is None


@pytest.mark.parametrize("content", [b"", b"torn", b"\x80\x04N.", None])
def test_a_torn_or_foreign_checkpoint_is_ignored(tmp_path, content):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(train(), {"epoch": 1})
    path = checkpoints.path(train())
    path.write_bytes(path.read_bytes()[:200] if content is None else content)
    assert checkpoints.load(train()) is None
    assert not path.exists()


def test_a_checkpoint_cannot_run_code(tmp_path):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(train(), {})
    torch.save({"state": toys.Shift()}, checkpoints.path(train()))
    assert checkpoints.load(train()) is None


@pytest.mark.parametrize("size", [0, 1, 64, 100, 500, 900, 1000])
def test_a_full_disk_is_one_message_wherever_it_happens_and_the_last_checkpoint_stays(
    tmp_path, size
):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(train(), {"epoch": 1})
    with (
        largest_file(size),
        pytest.raises(Unwritable, match=r"cannot write to the store .*: File too large\nhint: "),
    ):
        checkpoints.save(train(), {"epoch": 2, "model": torch.zeros(1000)})
    assert checkpoints.load(train()) == {"epoch": 1}
    assert list((tmp_path / "partial").iterdir()) == []
