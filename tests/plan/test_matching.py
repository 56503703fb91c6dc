"""Cells of two studies belong together by equal coordinates, or as a match says."""

import pytest

from invspec.errors import SpecError
from invspec.plan.matching import pairs, read


def cell(**coords):
    return {"model": "mlp", "measure": "robust", **coords}


def swept(eps, label="pgd"):
    return cell(attack=label, **{f"{label}.eps": eps})


QUANTILE = cell(**{"robust.quantile": 0.5})


def test_cells_of_equal_coordinates_belong_together_whatever_their_order():
    first = [swept(0.1), swept(0.2)]
    assert pairs(first, first[::-1]) == [(0, 1), (1, 0)]


def test_numbers_are_equal_however_they_are_written():
    assert pairs([swept("8/255")], [swept(8 / 255)]) == [(0, 0)]
    assert pairs([swept(1)], [swept(True)]) == [(0, None), (None, 0)]


def test_a_cell_of_one_study_alone_is_listed():
    assert pairs([swept(0), swept(0.1)], [swept(0.1), swept(0.2)]) == [
        (0, None),
        (1, 0),
        (None, 1),
    ]


@pytest.mark.parametrize(
    ("match", "first", "second"),
    [
        ("pgd=apgd", swept(0.1), swept(0.1, "apgd")),
        ("mlp=lenet", cell(), {**cell(), "model": "lenet"}),
        ("robust=safe", QUANTILE, {"model": "mlp", "measure": "safe", "safe.quantile": 0.5}),
        ("pgd=apgd", cell(attack="worst of pgd, square"), cell(attack="worst of apgd, square")),
        ("pgd=apgd", cell(attack="clean+pgd"), cell(attack="clean+apgd")),
        ("pgd.eps:0.1=0.2", swept(0.1), swept(0.2)),
        ("pgd.eps:8/255=0.2", swept(8 / 255), swept(0.2)),
        ("pgd.eps:0.1=", swept(0.1), cell(attack="pgd")),
        ("pgd.eps:=0.1", cell(attack="pgd"), swept(0.1)),
    ],
)  # fmt: skip
def test_a_match_names_what_belongs_together(match, first, second):
    assert pairs([first], [second]) == [(0, None), (None, 0)]
    assert pairs([first], [second], read([match])) == [(0, 0)]


def test_a_cell_that_is_named_comes_before_one_of_equal_coordinates():
    first, second = [swept(0.2), swept(0.1)], [swept(0.2)]
    assert pairs(first, second, read(["pgd.eps:0.1=0.2"])) == [(0, None), (1, 0)]


@pytest.mark.parametrize("text", ["pgd", "pgd=", "=pgd", "pgd.eps:=", ":1=2", ""])
def test_a_match_has_two_sides(text):
    with pytest.raises(SpecError, match=r"--match: expected A=B, found .*\nhint: plain=standard"):
        read([text])


@pytest.mark.parametrize(
    ("match", "message"),
    [
        ("pdg=pgd", r"A has no label 'pdg'\nhint: did you mean pgd"),
        ("pgd=apgd", r"B has no label 'apgd'\nhint: did you mean pgd"),
        ("pgd.eps:0.3=0.1", r"A has no pgd.eps 0.3\nhint: A has pgd.eps \(0.1\)"),
        ("pgd.eps:0.1=0.3", r"B has no pgd.eps 0.3\nhint: B has pgd.eps \(0.2\)"),
        ("pgd.step:0.1=0.3", r"A does not sweep pgd.step\nhint: did you mean pgd.eps"),
        ("pgd.eps:0.1=", r"every cell of B has pgd.eps"),
    ],
)
def test_a_match_of_nothing_is_refused(match, message):
    with pytest.raises(SpecError, match=message):
        pairs([swept(0.1)], [swept(0.2)], read([match]))
