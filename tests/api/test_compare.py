"""Two studies, and all nets of a store, as data frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workbench import registered, tiny

import invspec
from invspec.errors import SpecError

SPEC: dict[str, Any] = tiny(
    attacks={"clean": {"use": "identity"}, "pgd": {"eps": 0.1, "steps": 2}},
    measures={"accuracy": {"of": "clean"}, "robust": {"use": "accuracy", "of": "pgd"}},
)
MORE = invspec.Spec(SPEC, set={"attacks.pgd.steps": 4})


@pytest.fixture(scope="module", autouse=True)
def _toys() -> Iterator[None]:
    with registered():
        yield


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("api") / "store"
    for spec in (SPEC, MORE):
        invspec.run(spec, store=folder, workers=1)
    return folder


def test_two_specs_in_one_store(store: Path) -> None:
    frame = invspec.compare(SPEC, MORE, store=store)
    assert list(frame["measure"]) == ["accuracy", "robust"]
    assert frame["outcome"].iloc[0] == "equal"
    assert all((frame["low"] <= frame["difference"]) & (frame["difference"] <= frame["high"]))
    assert all(frame["difference"] == frame["b_value"] - frame["a_value"])
    settings = invspec.compare(SPEC, MORE, store=store, rows="settings")
    assert settings.to_dict("records") == [{"setting": "attacks.pgd.steps", "a": "2", "b": "4"}]


def test_results_bring_their_own_store(store: Path) -> None:
    first, second = (invspec.results(spec, store=store) for spec in (SPEC, MORE))
    assert set(invspec.compare(first, second)["examples"]) == {"same"}


def test_a_match_names_what_belongs_together(store: Path) -> None:
    renamed = {
        **SPEC,
        "attacks": {**SPEC["attacks"], "other": SPEC["attacks"]["pgd"] | {"use": "pgd"}},
    }
    renamed["measures"] = {**SPEC["measures"], "robust": {"use": "accuracy", "of": "other"}}
    frame = invspec.compare(SPEC, renamed, store=store, match=["pgd=other"])
    assert list(frame["outcome"]) == ["equal", "equal"]
    with pytest.raises(SpecError, match="A has no label 'pdg'"):
        invspec.compare(SPEC, renamed, store=store, match=["pdg=other"])


def test_rows_are_numbers_or_settings(store: Path) -> None:
    with pytest.raises(SpecError, match="no rows 'cells'"):
        invspec.compare(SPEC, MORE, store=store, rows="cells")  # pyright: ignore[reportArgumentType]


def test_the_nets_of_a_store_are_ranked(store: Path) -> None:
    frame = invspec.leaderboard(store=store)
    assert list(frame["rank"]) == [1]
    assert list(frame["attacks"]) == ["pgd steps 2; pgd steps 4"]
    assert frame["robust accuracy value"].iloc[0] <= frame["clean accuracy value"].iloc[0]


def test_a_store_that_is_not_there_is_one_error(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="--store: no folder"):
        invspec.leaderboard(store=tmp_path / "none")
