"""What YAML is read, and into which values."""

from __future__ import annotations

import math

import pytest

from invspec.errors import SpecError
from invspec.spec import document, reader


def refusal(text: str) -> str:
    with pytest.raises(SpecError) as caught:
        document.parse(text, "x.yaml")
    return str(caught.value)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("3", 3),
        ("-3", -3),
        ("1_000", 1000),
        ("0x1F", 31),
        ("0", 0),
        ("-0", 0),
        ("0.10", 0.1),
        ("00.5", 0.5),
        ("'010'", "010"),
        ("010/255", "010/255"),  # text, which methods read as ten
        ("0o17", "0o17"),
        ("0b11", 3),
        ("1:30", "1:30"),
        ("1.5e3", "1.5e3"),
        ("0.1", 0.1),
        (".5", 0.5),
        ("1e-3", "1e-3"),  # YAML 1.1 wants a dot; methods read the text as a number
        ("8/255", "8/255"),
        (".inf", math.inf),
        ("yes", True),
        ("off", False),
        ("~", None),
        ("", None),
        ("'3'", "3"),
        ('"yes"', "yes"),
        ("2020-01-01", "2020-01-01"),  # no dates
        ("12:30", "12:30"),  # no numbers to the base of 60
        ("12:30:00.5", "12:30:00.5"),
        ("=", "="),
        ("|\n  two\n  lines", "two\nlines"),
    ],
)
def test_scalars_are_text_numbers_bools_or_null(written: str, value: object) -> None:
    read = document.parse(f"a: {written}", "x.yaml").values["a"]
    assert (read, type(read)) == (value, type(value))


@pytest.mark.parametrize("written", ["010", "00", "08", "-010", "+07", "0_10", "0777"])
def test_a_number_that_begins_with_zero_is_refused(written: str) -> None:
    for text in (f"a: 1\nb: {written}", f"a: 1\nb: [{written}]", f"a: 1\nb: {{c: {written}}}"):
        assert refusal(text).startswith(f"x.yaml:2: {written} begins with 0: ")
    decimal = int(written.replace("_", ""))
    assert refusal(f"b: {written}").endswith(f"hint: write {decimal}, or quote it if it is text")


def test_a_key_that_begins_with_zero_is_text() -> None:
    assert document.parse("010: 1", "x.yaml").values == {"010": 1}


def test_keys_are_text() -> None:
    read = document.parse("1: a\n0.5: b\nnull: c\n2020-01-01: d\n'1.0': e\n", "x.yaml").values
    assert read == {"1": "a", "0.5": "b", "null": "c", "2020-01-01": "d", "1.0": "e"}


def test_a_key_that_yaml_reads_as_a_bool_must_be_quoted() -> None:
    assert document.parse('"on": 1', "x.yaml").values == {"on": 1}
    assert refusal("a: 1\non: 1") == 'x.yaml:2: YAML reads the key on as true\nhint: write "on"'


def test_two_spellings_of_a_key_are_one_key() -> None:
    assert refusal("1: a\n'1': b") == "x.yaml:2: duplicate key '1'\nhint: keep one of them"


def test_aliases_are_copies() -> None:
    read = document.parse("a: &a {x: [1]}\nb: *a\nc: [*a, *a]\n", "x.yaml")
    assert read.values == {"a": {"x": [1]}, "b": {"x": [1]}, "c": [{"x": [1]}, {"x": [1]}]}
    read.values["b"]["x"].append(2)
    assert read.values["a"] == {"x": [1]}
    assert read.place(("b", "x", 0)) == "x.yaml:2"


def test_an_anchor_may_be_redefined() -> None:
    assert document.parse("a: &a 1\nb: *a\nc: &a 2\nd: *a\n", "x.yaml").values["d"] == 2


def test_the_deepest_nesting_and_the_most_values_are_still_read() -> None:
    deepest = "[" * reader.MAX_DEPTH + "]" * reader.MAX_DEPTH
    assert document.parse(deepest, "x.yaml").values
    assert "expected at most 32 levels of nesting" in refusal(f"[{deepest}]")
    most = "[" + "1," * (reader.MAX_VALUES - 1) + "]"
    assert len(document.parse(most, "x.yaml").values) == reader.MAX_VALUES - 1
    assert "at most 50,000 values, found more" in refusal(f"[{most}]")


def test_depth_counts_aliases_as_written_out() -> None:
    def text(levels: int) -> str:
        return f"a: &a {'[' * 16}{']' * 16}\nb: {'[' * levels}*a{']' * levels}\n"

    remaining = reader.MAX_DEPTH - 1 - 16  # below the mapping, above what the alias stands for
    assert document.parse(text(remaining), "x.yaml").values
    assert "expected at most 32 levels of nesting" in refusal(text(remaining + 1))
