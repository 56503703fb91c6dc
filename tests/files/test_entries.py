"""State dicts within the content of a file."""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path
from typing import Any

import pytest
import torch

from invspec.errors import InvspecError
from invspec.files.entries import state_dict_at

PATH = Path("a.pth")
WEIGHTS = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}


def refused(entry: str, content: Any) -> tuple[str, str]:
    with pytest.raises(InvspecError) as problem:
        state_dict_at(entry, content, PATH)
    return problem.value.message, problem.value.hint


@pytest.mark.parametrize(
    ("entry", "content"),
    [
        ("", WEIGHTS),
        ("", OrderedDict(WEIGHTS)),
        ("net", {"net": WEIGHTS, "epoch": 3}),
        ("nets.1", {"nets": [{}, WEIGHTS]}),
        ("1.net", (0, {"net": WEIGHTS})),
        ("2", {2: WEIGHTS}),
    ],
)
def test_an_entry_is_a_path_of_names_and_positions(entry: str, content: Any) -> None:
    assert state_dict_at(entry, content, PATH) == WEIGHTS


@pytest.mark.parametrize(
    ("entry", "place", "hint"),
    [
        ("nett", "the file has no entry 'nett'", "did you mean net? (it has: epoch, net)"),
        ("net.x", "net has no entry 'x'", "it has: bias, weight"),
        ("epoch.0", "epoch has no entry '0'", ""),
    ],
)
def test_a_missing_entry_is_refused_with_what_is_there(entry: str, place: str, hint: str) -> None:
    content = {"net": WEIGHTS, "epoch": 3}
    assert refused(entry, content) == (f"a.pth: {place}", hint)


@pytest.mark.parametrize(
    ("entry", "content", "found"),
    [
        ("", {"net": WEIGHTS}, "the file is not a state dict: found dict with net"),
        ("", [], "the file is not a state dict: found an empty list"),
        ("n", {"n": torch.ones(1)}, "n is not a state dict: found Tensor"),
        (
            "n",
            {"n": dict.fromkeys("abcde", 1)},
            "n is not a state dict: found dict with a, b, c, d, ...",
        ),
    ],
)
def test_something_else_is_named_with_its_first_entries(
    entry: str, content: Any, found: str
) -> None:
    message, hint = refused(entry, content)
    assert message == f"a.pth: {found}"
    assert hint.startswith("set entry to the state dict within the file")


def test_the_hint_lists_the_state_dicts_in_the_file() -> None:
    content = {"ema": {"net": WEIGHTS}, "last": [WEIGHTS], "epoch": 3}
    _, hint = refused("", content)
    assert hint == "set entry to the state dict within the file: ema.net, last.0"


def test_what_is_not_a_tensor_is_named() -> None:
    message, _ = refused("", {**WEIGHTS, "epoch": 3, "acc": 0.9})
    assert message == "a.pth: the file is not a state dict: found epoch, acc beside tensors"


@pytest.mark.parametrize(
    ("content", "found"), [({}, "an empty dict"), (torch.ones(2), "Tensor"), (None, "NoneType")]
)
def test_what_holds_nothing_is_named(content: Any, found: str) -> None:
    message, _ = refused("", content)
    assert message == f"a.pth: the file is not a state dict: found {found}"
