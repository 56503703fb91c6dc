"""Errors with a place, a message and a hint."""

from __future__ import annotations

import pytest

from invspec.errors import InvspecError, SpecError, first_line, suggest


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
