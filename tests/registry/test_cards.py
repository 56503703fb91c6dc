"""What a name stands for, users' cards, and messages about bad ones."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from registries import WriteFile, refusal

from invspec.attacks.pgd import PGD
from invspec.errors import SpecError
from invspec.registry import cards
from invspec.registry.cards import card, names, papers
from invspec.registry.methods import make, resolve


def test_names_are_sorted_and_papers_are_read() -> None:
    assert list(names("attack")) == sorted(names("attack"))
    assert papers()["madry2018"].authors.startswith("Madry")


def test_a_users_card_hides_the_packages_and_the_last_folder_comes_first(
    write: WriteFile, tmp_path: Path
) -> None:
    write("attack/pgd.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\nparams: {eps: 0.7}\n")
    assert make("attack", "pgd", {}) == PGD(eps=0.7)
    other = tmp_path / "other"
    (other / "attack").mkdir(parents=True)
    (other / "attack" / "pgd.yaml").write_text("target: invspec.attacks.pgd:PGD\nsummary: last\n")
    cards.add(other)
    assert card("attack", "pgd").summary == "last"
    assert cards.added() == (tmp_path.resolve(), other.resolve())


def test_a_folder_is_added_once(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\n")
    cards.add(tmp_path)
    assert cards.added() == (tmp_path.resolve(),)
    assert sys.path.count(str(tmp_path.resolve())) == 1
    assert sys.path[-1] == str(
        tmp_path.resolve()
    )  # a user's file never comes before a module of Python or of a package


def test_a_users_paper_can_be_cited(write: WriteFile) -> None:
    write("papers.yaml", "me2026: {title: Mine, authors: Me, year: 2026}\n")
    assert papers()["me2026"].title == "Mine"
    assert "madry2018" in papers()


def test_a_card_that_is_a_folder_is_refused(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml/x", "")
    assert (
        refusal(lambda: card("attack", "mine"), tmp_path)
        == "attack/mine.yaml: cannot be read: Is a directory\nhint: expected a YAML file"
    )


def test_a_bad_paper_is_refused(write: WriteFile, tmp_path: Path) -> None:
    write("papers.yaml", "me2026: {title: Mine, authors: Me, year: two}\n")
    assert (
        refusal(papers, tmp_path)
        == "papers.yaml: me2026: year: expected a whole number, found 'two'"
    )


BAD_CARDS = {
    "not YAML": (
        "{",
        "not YAML: while parsing a flow node\nhint: expected keys with values",
    ),
    "not UTF-8": (
        "\udcff",
        "not YAML: 'utf-8' codec can't decode byte 0xff in position 0: invalid start byte\n"
        "hint: expected keys with values",
    ),
    "a list": (
        "[a]",
        "expected keys with values, found a list",
    ),
    "nothing": (
        "",
        "expected keys with values, found nothing",
    ),
    "no summary": (
        "target: a:B",
        "missing key summary\nhint: expected target, summary, paper, section, params, example",
    ),
    "an unknown key": (
        "{target: a:B, summary: s, on: 1}",
        "unknown key True\nhint: expected target, summary, paper, section, params, example",
    ),
    "a number as target": (
        "{target: 3, summary: s}",
        "target: expected text, found 3",
    ),
    "a number as section": (
        "{target: a:B, summary: s, section: 2.1}",
        "section: expected text, found 2.1",
    ),
    "params in a list": (
        "{target: a:B, summary: s, params: [eps]}",
        "params: expected keys with values, found ['eps']",
    ),
}


@pytest.mark.parametrize(("written", "message"), BAD_CARDS.values(), ids=BAD_CARDS)
def test_a_bad_card_is_refused_with_this_message(
    written: str, message: str, write: WriteFile, tmp_path: Path
) -> None:
    write("attack/mine.yaml", "")
    (tmp_path / "attack" / "mine.yaml").write_text(written, errors="surrogateescape")
    assert refusal(lambda: resolve("attack", "mine"), tmp_path) == f"attack/mine.yaml: {message}"


def test_a_bad_setting_of_a_card_is_reported_at_the_card(write: WriteFile, tmp_path: Path) -> None:
    write("attack/mine.yaml", "target: invspec.attacks.pgd:PGD\nsummary: mine\nparams: {eps: -1}\n")
    result = refusal(lambda: make("attack", "mine", {"steps": 2}), tmp_path)
    assert result == "attack/mine.yaml: params.eps: expected at least 0, found -1"
    assert (
        refusal(lambda: make("attack", "mine", {"eps": -2}), tmp_path)
        == "expected at least 0, found -2"
    )


def test_an_unknown_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(SpecError, match="no attack is named 'pdg'") as caught:
        resolve("attack", "pdg")
    assert caught.value.hint.startswith("did you mean pgd?")
