"""Numbers of a paper as their author writes them."""

from __future__ import annotations

from typing import Any

import pytest

from invspec.spec.published import Published, PublishedTable


def cells(written: dict[str, Any]) -> dict[str, tuple[Any, float, int | None]]:
    table = PublishedTable.model_validate(written)
    return {
        ".".join(map(str, path)): (cell.at, cell.value, cell.n)
        for path, cell in table.written_out.items()
    }


def test_cells_are_listed_or_nested_by_their_coordinates() -> None:
    assert cells(
        {
            "n": 100,
            "cells": [{"at": {"model": "a"}, "value": "1/2"}, {"at": {}, "value": 0.1, "n": 5}],
            "by": ["model", "eps"],
            "values": {"b": {"0.1": 0.3}, "c": {"0.1": {"value": 0.4, "n": 7}}},
        }
    ) == {
        "cells.0": ({"model": "a"}, 0.5, 100),
        "cells.1": ({}, 0.1, 5),
        "values.b.0.1": ({"model": "b", "eps": "0.1"}, 0.3, 100),
        "values.c.0.1": ({"model": "c", "eps": "0.1"}, 0.4, 7),
    }


def test_a_cell_keeps_what_it_says_itself() -> None:
    table = PublishedTable.model_validate(
        {
            "source": "Table 1",
            "sd": 0.1,
            "seeds": 4,
            "by": "model",
            "values": {"a": 0.5, "b": {"value": 0.6, "source": "Table 2", "sd": 0.2}},
        }
    )
    first, second = table.written_out.values()
    assert (first.source, first.error_of_trainings) == ("Table 1", pytest.approx(0.05))
    assert (second.source, second.error_of_trainings) == ("Table 2", pytest.approx(0.1))


def test_the_error_of_examples_is_that_of_a_share() -> None:
    assert Published(value=0.5, n=100).error_of_examples == pytest.approx(0.05)
    assert 0 < Published(value=1, n=100).error_of_examples < 0.01
    assert Published(value=7).error_of_examples == 0
