"""Values and their places."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from invspec.errors import SpecError
from invspec.spec import document
from invspec.spec.document import Document

TEXT = """\
# a comment

first: {a: 1, b: [x, y]}
second:
  - deep: 0.1
    other: word
  - 3
third: "text"
"""


def test_values_are_those_of_yaml() -> None:
    assert document.parse(TEXT, "x.yaml").values == yaml.safe_load(TEXT)


def test_every_value_knows_its_line() -> None:
    read = document.parse(TEXT, "x.yaml")
    lines = {path: int(place.removeprefix("x.yaml:")) for path, place in read.places.items()}
    assert lines == {
        (): 3,
        ("first",): 3,
        ("first", "a"): 3,
        ("first", "b"): 3,
        ("first", "b", 0): 3,
        ("first", "b", 1): 3,
        ("second",): 4,
        ("second", 0): 5,
        ("second", 0, "deep"): 5,
        ("second", 0, "other"): 6,
        ("second", 1): 7,
        ("third",): 8,
    }


def test_an_unknown_path_has_the_place_of_its_nearest_ancestor() -> None:
    read = document.parse(TEXT, "x.yaml")
    assert read.place(("second", 0, "nothing", 7)) == "x.yaml:5"
    assert read.place(("nothing",)) == "x.yaml:3"
    assert Document("x.yaml", {}).place(("nothing",)) == "x.yaml"


def test_a_problem_is_located_once() -> None:
    read = document.parse(TEXT, "x.yaml")
    located = read.locate(SpecError("is bad", hint="mend it", path=("second", 1)))
    assert str(located) == "x.yaml:7: second.1: is bad\nhint: mend it"
    assert read.locate(located) is located


def test_a_file_is_read_up_to_its_limit(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_text("a: 1 #" + " " * (document.MAX_BYTES - 6))
    assert document.read(path).values == {"a": 1}
    path.write_text("a: 1 #" + " " * (document.MAX_BYTES - 5))
    with pytest.raises(SpecError, match="expected at most 1,048,576 bytes, found more"):
        document.read(path)


def test_a_byte_order_mark_is_ignored(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert document.read(path).values == {"a": 1}


def test_text_in_utf_16_as_powershell_writes_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "x.yaml"
    path.write_bytes("a: 1\n".encode("utf-16"))
    with pytest.raises(SpecError, match="UTF-16 text, expected UTF-8"):
        document.read(path)


def test_a_setting_that_begins_with_zero_is_refused() -> None:
    with pytest.raises(SpecError, match="010 begins with 0") as problem:
        document.scalar("010", "--set")
    assert problem.value.where == "--set"


def test_keys_that_are_not_words_are_quoted_in_messages() -> None:
    read = document.parse("'a b': {'\\n': 1}", "x.yaml")
    assert (
        str(read.locate(SpecError("no", path=("a b", "../x", 0)))) == "x.yaml:1: 'a b'.'../x'.0: no"
    )


# ─ overlays ───────────────────────────────────────────────────────────────────────────


def test_an_overlay_replaces_or_adds_and_remembers_its_option() -> None:
    read = document.parse(TEXT, "x.yaml")
    laid = (
        read.overlay("second.0.deep", 9, "--set")
        .overlay("first.c", [1], "--scale")
        .overlay("new", {"a": 1}, "--set")
    )
    assert laid.values["second"][0] == {"deep": 9, "other": "word"}
    assert laid.values["first"] == {"a": 1, "b": ["x", "y"], "c": [1]}
    assert laid.values["new"] == {"a": 1}
    assert laid.place(("second", 0, "deep")) == "--set"
    assert laid.place(("first", "c", 0)) == "--scale"
    assert laid.place(("second", 0, "other")) == "x.yaml:6"


def test_an_overlay_changes_a_copy() -> None:
    read = document.parse(TEXT, "x.yaml")
    read.overlay("second.0.deep", 9, "--set")
    assert read.values == yaml.safe_load(TEXT)
    assert read.place(("second", 0, "deep")) == "x.yaml:5"


def test_values_hidden_by_an_overlay_lose_their_lines() -> None:
    laid = document.parse(TEXT, "x.yaml").overlay("second", [{"deep": 1}], "--set")
    assert laid.place(("second", 0, "deep")) == "--set"


def test_a_number_is_a_position_in_a_list_and_a_key_elsewhere() -> None:
    read = document.parse("list: [a, b]\nkeys: {'1': a}\n", "x.yaml")
    assert read.overlay("list.1", "c", "--set").values["list"] == ["a", "c"]
    assert read.overlay("keys.1", "c", "--set").values["keys"] == {"1": "c"}


@pytest.mark.parametrize(
    "dotted", ["list.2", "list.x", "list.-1", f"list.{10**9}", "nothing.a", "list.0.a"]
)
def test_an_overlay_onto_a_missing_path_is_refused(dotted: str) -> None:
    read = document.parse("list: [a, b]\n", "x.yaml")
    with pytest.raises(SpecError) as caught:
        read.overlay(dotted, 1, "--set")
    assert caught.value.where.startswith("--set")


def test_an_overlay_onto_a_spec_without_keys_is_refused() -> None:
    with pytest.raises(SpecError) as caught:
        document.parse("[a]", "x.yaml").overlay("title", 1, "--set")
    assert (
        str(caught.value)
        == "--set: the spec has no title\nhint: it is a list of length 1, indexed from 0"
    )
    with pytest.raises(SpecError, match="expected keys in the spec, found a single value"):
        document.parse("a", "x.yaml").overlay("title", 1, "--set")
