"""Switches of torch: TF32 for a while, whatever was set before and by which interface."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from torch import backends

from invspec.ops.switches import PRECISION, TF32, Switch, multiplying_in_tf32, unchanged

if not hasattr(backends.cudnn, "conv"):
    pytest.skip("this torch has the old switches alone", allow_module_level=True)

OLD = {"matmul": backends.cuda.matmul, "cudnn": backends.cudnn}
NEWER: dict[str, Any] = {
    "matmul": backends.cuda.matmul,
    "conv": backends.cudnn.conv,  # pyright: ignore[reportAttributeAccessIssue]
    "rnn": backends.cudnn.rnn,  # pyright: ignore[reportAttributeAccessIssue]
}


@pytest.fixture(autouse=True)
def restored() -> Iterator[None]:
    """Whatever a test does, others find torch as it was."""
    with unchanged((*TF32, *PRECISION)):
        yield


def old() -> dict[str, bool]:
    return {name: bool(owner.allow_tf32) for name, owner in OLD.items()}


def newer() -> dict[str, str]:
    return {name: owner.fp32_precision for name, owner in NEWER.items()}


def set_float32() -> None:
    """What a run does."""
    for switch in (*TF32, *PRECISION):
        switch.set()


def test_tf32_is_on_in_the_block_and_off_behind_it() -> None:
    set_float32()
    with multiplying_in_tf32(True):
        assert old() == dict.fromkeys(OLD, True)
        assert newer() == dict.fromkeys(NEWER, "tf32")
    assert old() == dict.fromkeys(OLD, False)
    assert newer() == dict.fromkeys(NEWER, "ieee")


def test_an_inner_block_keeps_a_part_of_the_work_from_tf32() -> None:
    set_float32()
    with multiplying_in_tf32(True):
        with multiplying_in_tf32(False):
            assert old() == dict.fromkeys(OLD, False)
            assert newer() == dict.fromkeys(NEWER, "ieee")
        assert newer() == dict.fromkeys(NEWER, "tf32")


@pytest.mark.parametrize("general", ["none", "ieee", "tf32"])
@pytest.mark.parametrize("wanted", [True, False])
def test_a_user_who_set_the_newer_switches_gets_them_back(general: str, wanted: bool) -> None:
    backends.fp32_precision = general  # pyright: ignore[reportAttributeAccessIssue]
    before = newer()
    with multiplying_in_tf32(wanted):
        # torch would refuse to read an old switch that contradicts a newer one
        assert old() == dict.fromkeys(OLD, wanted)
    assert newer() == before


def test_switches_are_restored_after_an_error() -> None:
    set_float32()
    with pytest.raises(ZeroDivisionError), multiplying_in_tf32(True):
        raise ZeroDivisionError
    assert newer() == dict.fromkeys(NEWER, "ieee")


def test_the_switches_of_cpu_libraries_stay_as_they_are() -> None:
    set_float32()
    with multiplying_in_tf32(True):
        others = [switch for switch in PRECISION if switch.owner not in NEWER.values()]
        assert {getattr(owner, name) for owner, name, _ in others} == {"ieee"}


def test_switches_that_cannot_be_read_are_left_alone() -> None:
    written = list[str]()

    class Refusing:
        @property
        def mode(self) -> str:
            raise RuntimeError

        @mode.setter
        def mode(self, value: str) -> None:
            written.append(value)

    with unchanged([Switch(owner := Refusing(), "mode", "on")]):
        owner.mode = "on"
    assert written == ["on"]
