"""`invspec list`: show the registry."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml
from registries import untouched

from invspec.cli import listing
from invspec.errors import SpecError
from invspec.registry import cards, catalogue
from invspec.registry.cards import KINDS, names
from invspec.registry.catalogue import Description
from invspec.registry.words import yaml_text

CARDS = [(kind, name) for kind in KINDS for name in names(kind)]


@pytest.fixture
def page_of(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch):
    """What `list` prints on a wide terminal."""
    monkeypatch.setenv("COLUMNS", "250")

    def show(kind: str | None = None, name: str | None = None) -> str:
        listing.show(kind, name)
        return capsys.readouterr().out

    return show


def test_the_whole_registry_is_listed_by_kind_with_papers(page_of) -> None:
    lines = page_of().splitlines()
    titles = [line.strip() for line in lines if line.strip() in KINDS]
    assert titles == list(KINDS)
    for kind, name in CARDS:
        card = cards.card(kind, name)
        (line,) = [line for line in lines if line.split()[:1] == [name] and card.summary in line]
        assert line.rstrip().endswith(card.paper or card.summary)


def test_one_kind_is_listed_alone(page_of) -> None:
    written = page_of("measure")
    assert "rate_of_invariance" in written
    assert "random_rotation" not in written


def test_a_page_has_summary_paper_target_fields_and_example(page_of) -> None:
    page = page_of("attack", "pgd_mnist")
    assert page.startswith("pgd_mnist: PGD as Madry et al. evaluate on MNIST\n")
    assert (
        "Madry, Makelov, Schmidt, Tsipras, Vladu (2018), Towards Deep Learning Models Resistant"
        in page
    )
    assert "5, MNIST · invspec.attacks.pgd:PGD" in page
    rows = {line.split()[0]: " ".join(line.split()) for line in page.splitlines() if line.strip()}
    assert rows["eps"].startswith("eps 0.3 number ≥ 0 radius of the ball, in units of eps_space")
    assert rows["norm"].startswith("norm linf linf | l2 | l1 shape of the ball")
    # the default of the card, not that of the class
    assert rows["step_size"].startswith("step_size 0.01 number | null > 0 length of one update")
    assert rows["random_start"].startswith("random_start true true | false start at a random point")
    # the first field that the card does not set
    assert page.endswith("in a spec:\n  attacks:\n    pgd_mnist: {norm: linf}\n")


def test_a_page_shows_the_fields_of_an_inner_method(page_of) -> None:
    page = " ".join(page_of("defence", "adversarial_training").split())
    default = "PGD {eps: 0.3, step_size: 0.01, steps: 40}"
    assert f"attack {default} attack attack that the model is trained against" in page
    assert "milestones [] [whole number, ...]" in page


def test_fields_have_their_names_in_specs(page_of) -> None:
    page = " ".join(page_of("dataset", "fake").split())
    assert (
        "shape [1, 28, 28] [whole number, whole number, whole number] C, H, W of an image" in page
    )
    assert "bounds [0.0, 1.0] [number | null, number | null]" in page
    assert "image_shape" not in page


def test_a_method_without_fields_has_no_table(page_of) -> None:
    assert "default" not in page_of("model", "linear")


@pytest.mark.parametrize(
    ("kind", "name", "own", "inherited"),
    [
        ("defence", "ccat", "rho", "batch_size"),
        # max_drop is declared again, for another default
        ("attack", "lst", "nudge", "max_drop"),
        # both are inherited: beta from a nearer base
        ("defence", "trades", "beta", "epochs"),
    ],
)
def test_own_fields_come_before_inherited_ones(
    page_of, kind: str, name: str, own: str, inherited: str
) -> None:
    names = [line.split()[0] for line in page_of(kind, name).splitlines() if line.strip()]
    fields = names[names.index("field") :]
    assert fields.index(own) < fields.index(inherited)


@pytest.mark.parametrize("text", ["2", "true", "a, b", "{x}", "", "~", "logits", "8/255", "a: b"])
def test_texts_are_printed_as_yaml_reads_them(text: str) -> None:
    assert yaml.safe_load(yaml_text({"field": [text]})) == {"field": [text]}


def test_tables_in_docstrings_keep_their_lines(page_of) -> None:
    page = page_of("measure", "theorem1")
    assert re.search(r"^ +shifted_accuracy +b = P", page, re.MULTILINE)


def test_square_brackets_are_no_markup(page_of, monkeypatch: pytest.MonkeyPatch) -> None:
    about = Description("values in [0, 1] and [bold]", "no paper, [4] · mine:Mine", (), "models:")
    monkeypatch.setattr(catalogue, "find", lambda kind, name: about)
    assert "values in [0, 1] and [bold]" in page_of("model", "linear")
    assert "no paper, [4] · mine" in page_of("model", "linear")
    assert "values in [0, 1] and [bold]" in page_of("model")


def test_a_card_of_a_user_is_read_from_its_class(page_of, tmp_path: Path) -> None:
    (tmp_path / "attack").mkdir()
    (tmp_path / "attack" / "pgd.yaml").write_text("target: listed_gray:Gray\nsummary: my own\n")
    (tmp_path / "listed_gray.py").write_text(GRAY)
    with untouched(tmp_path):
        cards.add(tmp_path)
        page = " ".join(page_of("attack", "pgd").split())
        assert page.startswith("pgd: my own no paper · listed_gray:Gray Every pixel grey.")
        assert "level 0.5 number 0 to 1 brightness (pixels in [0, 1])" in page
        assert "my own" in page_of("attack")


GRAY = """
from pydantic import Field
from invspec.data import Perturbed
from invspec.kinds import Attack, Pixels

class Gray(Attack):
    '''Every pixel grey.'''

    level: Pixels = Field(default=0.5, ge=0, le=1, description="brightness")

    def perturb(self, model, batch, rng):
        raise NotImplementedError
"""


@pytest.mark.parametrize("kind", ["atack", "attacks"])
def test_an_unknown_kind_is_refused_with_the_nearest(kind: str, page_of) -> None:
    with pytest.raises(SpecError) as caught:
        page_of(kind)
    hint = "did you mean attack? (known: attack, check, dataset, defence, measure, model)"
    assert str(caught.value) == f"no kind is named {kind!r}\nhint: {hint}"


def test_an_unknown_name_is_refused_with_the_nearest(page_of) -> None:
    with pytest.raises(SpecError, match="no attack is named 'pdg'"):
        page_of("attack", "pdg")


def test_fields_show_their_units_and_ranges(page_of) -> None:
    page = " ".join(page_of("attack", "random_rotation").split())
    assert "number 0 to 180 half-width of the range of angles (degrees)" in page
    assert "radius of the ball (pixels in [0, 1])" in " ".join(page_of("attack", "apgd").split())


def test_a_method_may_be_named_without_its_kind(capsys: pytest.CaptureFixture[str]) -> None:
    listing.show("pgd", None)
    assert capsys.readouterr().out.startswith("attack pgd\npgd: ")
    listing.show("ccat", None)
    assert "defence ccat\n" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("kind", "name", "hint"),
    [
        ("pgd", "eps", "pgd is the name of an attack"),
        ("pgdd", None, "did you mean pgd?"),
        ("atack", None, "did you mean attack?"),
    ],
)
def test_what_is_neither_a_kind_nor_a_method_is_refused_with_a_hint(
    kind: str, name: str | None, hint: str
) -> None:
    with pytest.raises(SpecError, match="no kind is named") as caught:
        listing.show(kind, name)
    assert caught.value.hint.startswith(hint)
