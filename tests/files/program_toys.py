"""A net as a program of torch.export, and the error when it is refused."""

from __future__ import annotations

import hashlib
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.models.exported import ExportedProgram

SHAPE, CLASSES = (1, 4, 4), 3


@cache
def net() -> nn.Module:
    """A net with batch norm and dropout, so that its mode matters."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten()
        )
        return layers.append(nn.Linear(16, CLASSES)).eval()


@cache
def program(batch: int | None = None) -> bytes:
    """The net as a .pt2 file, for any number of images or for one."""
    x = torch.rand(batch or 8, *SHAPE)
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    file = BytesIO()
    torch.export.save(torch.export.export(net(), (x,), dynamic_shapes=dynamic), file)
    return file.getvalue()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "net.pt2"
    path.write_bytes(content)
    return path


def model(folder: Path, content: bytes | None = None, **fields: Any) -> ExportedProgram:
    path = written(folder, content or program())
    return ExportedProgram(
        file=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **fields
    )


x = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))


def refusal(exported: ExportedProgram) -> InvspecError:
    with pytest.raises(InvspecError) as problem:
        exported.build(SHAPE, CLASSES)
    return problem.value
