"""Errors with a place, a message and a hint."""

from __future__ import annotations

import itertools
from collections.abc import Iterator

import pytest

from invspec.errors import (
    MAX_PROBLEMS,
    InvspecError,
    SpecError,
    SpecErrors,
    counted,
    first_line,
    refuse,
    suggest,
)


def test_an_error_has_a_place_a_message_and_a_hint() -> None:
    assert str(InvspecError("is bad")) == "is bad"
    assert (
        str(InvspecError("is bad", where="x.yaml:3", hint="mend it"))
        == "x.yaml:3: is bad\nhint: mend it"
    )
    assert (InvspecError("").exit_code, SpecError("").exit_code) == (1, 2)


def test_within_prepends_to_the_path_of_an_error() -> None:
    problem = SpecError("is bad", hint="mend it", path=("eps",)).within("attacks", "pgd")
    assert (problem.path, problem.message, problem.hint) == (
        ("attacks", "pgd", "eps"),
        "is bad",
        "mend it",
    )


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("pdg", ["pgd", "fgsm"], "did you mean pgd? (known: fgsm, pgd)"),
        ("nothing", ["pgd", "fgsm"], "known: fgsm, pgd"),
        ("nothing", [], ""),
        ("card7x", [f"card{number}" for number in range(30)], "did you mean card7?"),
        ("zzz", [f"a{number}" for number in range(10, 40)], ""),
    ],
)
def test_a_hint_names_the_nearest_word_and_lists_few(
    word: str, known: list[str], hint: str
) -> None:
    assert suggest(word, known) == hint


@pytest.mark.parametrize(
    ("problem", "line"),
    [(ValueError("\none\ntwo"), "one"), (ValueError(), "ValueError"), (KeyError("name"), "'name'")],
)
def test_the_first_line_of_an_exception(problem: Exception, line: str) -> None:
    assert first_line(problem) == line


def problems(count: int) -> list[SpecError]:
    return [SpecError(f"problem {number}") for number in range(count)]


def test_several_mistakes_are_reported_together_and_begin_with_the_first() -> None:
    first, second = SpecError("is bad", where="x.yaml:1", path=("a",)), SpecError("is worse")
    both = SpecErrors([first, second])
    assert str(both) == "x.yaml:1: is bad\nis worse"
    assert (both.message, both.where, both.path) == ("is bad", "x.yaml:1", ("a",))
    assert SpecErrors([both, SpecError("third")]).problems[:2] == (first, second)


def test_within_prepends_to_the_paths_of_all_mistakes() -> None:
    both = SpecErrors([SpecError("is bad", path=("eps",)), SpecError("is worse")]).within("pgd")
    assert [problem.path for problem in both.problems] == [("pgd", "eps"), ("pgd",)]


def test_no_problems_are_not_refused_and_one_is_raised_as_it_is() -> None:
    refuse([])
    (problem,) = problems(1)
    with pytest.raises(SpecError) as caught:
        refuse([problem])
    assert caught.value is problem


def test_equal_problems_are_raised_once() -> None:
    here, there = SpecError("is bad", path=("a",)), SpecError("is bad", path=("b",))
    with pytest.raises(SpecErrors) as caught:
        refuse([here, there, SpecError("is bad", path=("a",))])
    assert caught.value.problems == (here, there)


def test_one_card_used_in_two_entries_is_refused_once() -> None:
    at_card = [SpecError("is bad", where="card.yaml", path=(part,)) for part in ("a", "b")]
    with pytest.raises(SpecError) as caught:
        refuse(at_card)
    assert caught.value is at_card[0]


def test_problems_beyond_the_limit_are_counted_as_more_and_not_read() -> None:
    read: list[SpecError] = []

    def endless() -> Iterator[SpecError]:
        for number in itertools.count():
            read.append(SpecError(f"problem {number}"))
            yield read[-1]

    with pytest.raises(SpecErrors) as caught:
        refuse(endless())
    *shown, last = caught.value.problems
    assert shown == read[:MAX_PROBLEMS]
    assert last.message == "found more than 50 problems; the first 50 are shown"
    assert len(read) == MAX_PROBLEMS + 1


def test_exactly_as_many_problems_as_the_limit_are_all_shown() -> None:
    with pytest.raises(SpecErrors) as caught:
        refuse(problems(MAX_PROBLEMS))
    assert len(caught.value.problems) == MAX_PROBLEMS


@pytest.mark.parametrize(
    ("number", "words"), [(0, "0 claims"), (1, "1 claim"), (2, "2 claims"), (2000, "2,000 claims")]
)
def test_one_thing_is_counted_in_the_singular(number: int, words: str) -> None:
    assert counted(number, "claim") == words
