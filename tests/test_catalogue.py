"""`invspec list`: the registry for people."""

from __future__ import annotations

import pytest
import yaml

from invspec.cli import catalogue
from invspec.errors import SpecError
from invspec.registry import cards
from invspec.registry.cards import KINDS, Kind, names
from invspec.registry.methods import make, resolve

CARDS = [(kind, name) for kind in KINDS for name in names(kind)]


@pytest.fixture
def shown(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What a page or a table prints on a wide screen."""
    monkeypatch.setenv("COLUMNS", "250")

    def show(kind: str | None = None, name: str | None = None) -> str:
        catalogue.show(kind, name)
        return capsys.readouterr().out

    return show


def test_the_whole_registry_is_listed_by_kind_with_papers(shown) -> None:
    lines = shown().splitlines()
    titles = [line.strip() for line in lines if line.strip() in KINDS]
    assert titles == list(KINDS)
    for kind, name in CARDS:
        card = cards.card(kind, name)
        (line,) = [line for line in lines if line.split()[:1] == [name] and card.summary in line]
        assert line.rstrip().endswith(card.paper or card.summary)


def test_one_kind_is_listed_alone(shown) -> None:
    written = shown("measure")
    assert "rate_of_invariance" in written
    assert "random_rotation" not in written


def test_a_page_says_what_whose_where_and_how(shown) -> None:
    page = shown("attack", "pgd_mnist")
    assert page.startswith("pgd_mnist: PGD as Madry et al. run it on MNIST\n")
    assert (
        "Madry, Makelov, Schmidt, Tsipras, Vladu (2018), Towards Deep Learning Models Resistant"
        in page
    )
    assert "5, MNIST · invspec.attacks.pgd:PGD" in page
    rows = {line.split()[0]: " ".join(line.split()) for line in page.splitlines() if line.strip()}
    assert rows["eps"] == "eps 0.3 number ≥ 0 radius of the ball, in units of eps_space"
    assert rows["norm"].startswith("norm linf linf | l2 | l1 shape of the ball")
    assert rows["step_size"].startswith(
        "step_size 0.01 number | null > 0 length of one update"
    )  # the card's own default
    assert rows["random_start"].startswith("random_start true true | false start at a random point")
    assert page.endswith(
        "in a spec:\n  attacks:\n    pgd_mnist: {norm: linf}\n"
    )  # the first field that the card leaves


def test_a_page_says_what_a_method_inside_a_method_is(shown) -> None:
    page = " ".join(shown("defence", "adversarial_training").split())
    assert (
        "attack PGD {eps: 0.3, step_size: 0.01, steps: 40} attack what the model is trained against"
        in page
    )
    assert "milestones [] [whole number, ...]" in page


def test_fields_have_the_names_that_a_spec_gives_them(shown) -> None:
    page = " ".join(shown("dataset", "fake").split())
    assert (
        "shape [1, 28, 28] [whole number, whole number, whole number] C, H, W of an image" in page
    )
    assert "bounds [0.0, 1.0] [number | null, number | null]" in page
    assert "image_shape" not in page


def test_a_method_without_fields_has_no_table(shown) -> None:
    assert "default" not in shown("model", "linear")


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_every_page_has_an_example_that_can_be_pasted(kind: Kind, name: str, shown) -> None:
    example = yaml.safe_load(shown(kind, name).split("in a spec:\n")[1])
    (entry,) = example[f"{kind}s"].values()
    assert entry.pop("of", None) == ("label of an attack" if kind == "measure" else None)
    if "..." not in entry.values():
        required = {
            field
            for field, about in resolve(kind, name).model_fields.items()
            if about.is_required()
        }
        assert required <= {*entry, *cards.card(kind, name).params}
        make(kind, name, entry)


def test_square_brackets_are_shown_and_not_taken_for_styles(
    shown, monkeypatch: pytest.MonkeyPatch
) -> None:
    card = cards.Card("invspec.models.linear:Linear", "values in [0, 1] and [bold]", section="[4]")
    monkeypatch.setattr(cards, "card", lambda kind, name: card)
    assert "values in [0, 1] and [bold]" in shown("model", "linear")
    assert "no paper, [4] · invspec" in shown("model", "linear")
    assert "values in [0, 1] and [bold]" in shown("model")


@pytest.mark.parametrize("kind", ["atack", "attacks"])
def test_an_unknown_kind_is_refused_with_the_nearest(kind: str, shown) -> None:
    with pytest.raises(SpecError) as caught:
        shown(kind)
    hint = "did you mean attack? (known: attack, dataset, defence, measure, model)"
    assert str(caught.value) == f"no kind is named {kind!r}\nhint: {hint}"


def test_an_unknown_name_is_refused_with_the_nearest(shown) -> None:
    with pytest.raises(SpecError, match="no attack is named 'pdg'"):
        shown("attack", "pdg")
