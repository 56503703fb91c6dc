"""What is said of files that torch refuses."""

from __future__ import annotations

import argparse
import datetime
import io
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.files.refusals import explained, foreign_objects
from invspec.files.weights import loaded

WEIGHTS = {"weight": torch.ones(2)}


def saved(content: Any, archive: bool = True) -> bytes:
    file = io.BytesIO()
    torch.save(content, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


def refusal(content: bytes) -> str:
    with pytest.raises(InvspecError) as problem:
        loaded(content, Path("a.pth"))
    return str(problem.value)


@pytest.mark.parametrize("archive", [True, False])
@pytest.mark.parametrize(
    ("beside", "named"),
    [
        (argparse.Namespace(lr=0.1), "argparse.Namespace"),
        (np.float64(0.9), "multiarray.scalar"),
        (np.ones(2), "numpy.ndarray"),
        (datetime.date(2020, 1, 1), "datetime.date"),
        ((argparse.Namespace(), Path("a")), "argparse.Namespace, pathlib"),
        (nn.ReLU(), "torch.nn.modules.activation.ReLU"),
    ],
)
def test_every_object_beside_the_weights_is_named(beside: Any, named: str, archive: bool) -> None:
    text = refusal(saved({"state_dict": WEIGHTS, "args": beside}, archive))
    assert named in text
    assert "torch.save(net.state_dict(), file)" in text


def test_a_whole_net_is_called_one() -> None:
    for content in (saved(nn.Linear(2, 2)), pickle.dumps(nn.Linear(2, 2))):
        assert "it is a whole net, not a state dict" in refusal(content)


@pytest.mark.parametrize(
    "content",
    [
        saved({"args": argparse.Namespace()}),
        saved(WEIGHTS, archive=False)[:-5],
        pickle.dumps(WEIGHTS),
        b"\x80\x02h\x05.",
        bytes(range(256)),
        saved(nn.Linear(2, 2)),
    ],
)
def test_no_advice_to_run_code_and_no_terminal_codes_are_passed_on(content: bytes) -> None:
    text = refusal(content)
    for word in ("weights_only", "\033", "add_safe_globals", "trust", "arbitrary code"):
        assert word not in text


def test_the_reason_of_torch_is_kept_whole() -> None:
    long = (
        "Weights only load failed. WeightsUnpickler error: " + "very " * 100 + "odd\nPlease use x"
    )
    reason, _ = explained(b"\x00", RuntimeError(long))
    assert reason == "very " * 100 + "odd"
    assert explained(b"\x00", RuntimeError("no magic"))[0] == "no magic"
    assert explained(b"\x00", EOFError())[0] == "EOFError"


def test_a_global_that_only_torch_names_is_kept() -> None:
    blamed = "Unsupported global: GLOBAL a.B was not an allowed global by default. Please use `x`"
    assert "objects of a.B" in explained(b"\x00", RuntimeError(blamed))[0]


def test_globals_are_read_without_running_anything() -> None:
    assert foreign_objects(saved(WEIGHTS)) == foreign_objects(saved(WEIGHTS, archive=False)) == []
    twice = pickle.dumps([argparse.Namespace(), argparse.Namespace(a=1), Path("x")], protocol=4)
    assert foreign_objects(twice)[0] == "argparse.Namespace"
    assert len(foreign_objects(twice)) == 2
    assert foreign_objects(b"\x80junk") == []
