"""A spec as its author writes it: entries, train lines and seeds."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError
from spec_toys import BASE

from invspec.errors import SpecError
from invspec.kinds import Sample
from invspec.spec import document, resolve
from invspec.spec.schema import Entry, Oracle, Source, Written


def written(**changes: Any) -> Written:
    return Written.model_validate({**BASE, **changes})


def test_an_entry_is_split_into_its_own_keys_and_the_fields_of_its_method() -> None:
    keys = {"use": "pgd", "sample": {"limit": 3}, "independent": True, "eps": 0.1, "steps": 2}
    assert written(attacks={"mine": keys}).attacks["mine"] == Entry(
        use="pgd", sample=Sample(limit=3), independent=True, fields={"eps": 0.1, "steps": 2}
    )
    keys = {"of": ["pgd"], "oracle": {"model": "linear", "defence": "standard"}, "level": 0.9}
    assert written(measures={"mine": keys}).measures["mine"] == Entry(
        of=("pgd",), oracle=Oracle(model="linear", defence="standard"), fields={"level": 0.9}
    )
    keys = {"of": ["pgd", "apgd"], "union": True, "correct_in_all": True, "clean": True}
    assert written(measures={"mine": keys}).measures["mine"] == Entry(
        of=("pgd", "apgd"), union=True, correct_in_all=True, fields={"clean": True}
    )
    keys = {"from": {"model": "linear", "defence": "standard"}, "source": "a field"}
    entry = written(attacks={"mine": keys}).attacks["mine"]
    assert entry.source == Source(model="linear", defence="standard")
    assert entry.fields == {"source": "a field"}


def test_an_empty_entry_has_no_fields() -> None:
    assert written(attacks={"pgd": None}).attacks["pgd"] == Entry()


@pytest.mark.parametrize(("entry", "found"), [("pgd", "'pgd'"), (["pgd"], r"\['pgd'\]"), (3, "3")])
def test_an_entry_that_is_not_keys_is_refused(entry: object, found: str) -> None:
    with pytest.raises(ValidationError, match=f"or nothing, found {found}"):
        written(attacks={"pgd": entry})


@pytest.mark.parametrize(
    ("part", "key"),
    [("attacks", "independent"), ("measures", "union"), ("measures", "correct_in_all")],
)
def test_a_bool_is_needed_where_one_is_meant(part: str, key: str) -> None:
    with pytest.raises(ValidationError, match="valid boolean"):
        written(**{part: {"pgd": {key: 1}}})


@pytest.mark.parametrize("seeds", [[0, 1], [3], [5, 2, 9]])
def test_seeds_may_be_declared_as_paired(seeds: list[int]) -> None:
    paired, plain = written(seeds={"paired": seeds}), written(seeds=seeds)
    assert (paired.seeds, paired.seeds_paired) == (tuple(seeds), True)
    assert (plain.seeds, plain.seeds_paired) == (tuple(seeds), False)


@pytest.mark.parametrize(
    "seeds", [{"pared": [0]}, {"paired": [0], "values": [1]}, {"paired": [0, 0]}]
)
def test_paired_seeds_are_a_list_of_distinct_seeds_and_nothing_else(seeds: object) -> None:
    with pytest.raises(ValidationError, match="seeds"):
        written(seeds=seeds)


def test_hints_name_only_keys_that_an_author_can_write() -> None:
    with pytest.raises(SpecError) as wrong:
        resolve.resolve(document.parse("[1]", "spec.yaml"))
    assert wrong.value.hint.endswith("report, names, scales")


def test_seeds_paired_is_no_key_of_a_spec() -> None:
    with pytest.raises(ValidationError, match=r"seeds: \{paired"):
        written(seeds_paired=True)


def test_seeds_default_to_0_and_are_distinct_whole_numbers() -> None:
    assert written().seeds == (0,)
    assert written(seeds=[0, 2**31 - 1]).seeds == (0, 2**31 - 1)
    with pytest.raises(ValidationError, match="expected distinct seeds, found duplicate seed 3"):
        written(seeds=[1, 3, 3])
    for seeds in ([-1], [2**31], [True], [1.0], []):
        with pytest.raises(ValidationError, match="seeds"):
            written(seeds=seeds)


@pytest.mark.parametrize("part", ["title", "datasets", "measures", "train"])
def test_these_parts_are_required(part: str) -> None:
    keys = {name: value for name, value in BASE.items() if name != part}
    with pytest.raises(ValidationError, match=rf"{part}\n  Field required"):
        Written.model_validate(keys)
