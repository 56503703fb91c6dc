"""Contract of every card: it resolves, its settings validate, and its paper is known."""

import pytest
import yaml

from invspec.registry.cards import KINDS, card, names, papers
from invspec.registry.methods import make, resolve

CARDS = [(kind, name) for kind in KINDS for name in names(kind)]


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_card_resolves_to_a_method_of_its_kind(kind, name):
    assert resolve(kind, name).kind == kind


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_cards_paper_is_known(kind, name):
    paper = card(kind, name).paper
    assert paper is None or paper in papers()


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_summary_is_one_line(kind, name):
    summary = card(kind, name).summary
    assert summary == summary.strip()
    assert "\n" not in summary
    assert 0 < len(summary) <= 140


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_section_is_text(kind, name):
    assert isinstance(card(kind, name).section, str | None)  # unquoted, 2.10 would read as 2.1


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_cards_settings_are_fields_and_validate(kind, name):
    method, params = resolve(kind, name), card(kind, name).params
    assert set(params) <= {info.alias or field for field, info in method.model_fields.items()}
    required = {field for field, info in method.model_fields.items() if info.is_required()}
    if required <= set(params):
        assert hash(make(kind, name, {})) == hash(make(kind, name, {}))


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_every_field_has_a_description_and_no_name_that_a_spec_reserves(kind, name):
    fields = resolve(kind, name).model_fields
    assert not set(fields) & {"use", "of", "sample", "sweep"}
    assert [field for field, info in fields.items() if not info.description] == []


def test_every_paper_has_authors_a_title_and_its_year_in_the_key():
    for key, paper in papers().items():
        assert str(paper.year) in key
        assert paper.title
        assert paper.authors


def test_yaml_reads_no_key_of_a_card_as_a_bool():
    for kind, name in CARDS:
        content = yaml.safe_load(names(kind)[name].read_text(encoding="utf-8"))
        assert all(isinstance(key, str) for key in (*content, *content.get("params", {})))
