"""Claims that do not fit a plan are refused before a run, with their place and a hint."""

import pytest
from toy_specs import CELL, compare, spec, trend, value

from invspec.errors import SpecError
from invspec.plan import validation


@pytest.fixture
def refused(planned):
    def problem(claim):
        with pytest.raises(SpecError) as caught:
            validation.check(planned(spec(claim)))
        return str(caught.value)

    return problem


def test_an_ambiguous_coordinate_is_named_with_its_values(refused):
    message = refused(value({"above": 0}, {"pgd.eps": 0.1, "defence": "rotations"}))
    assert (
        "toy.yaml:16: claims.0.value: ambiguous: several cells match, with rotations.max_degrees "
        "(0, 90, 180)" in message
    )
    assert "fix it with at, or reduce it with over" in message


@pytest.mark.parametrize(
    ("claim", "expected"),
    [
        (
            value({"above": 0}, measure="robustnes"),
            ["claims.0.value.measure: no measure", "did you mean robustness?"],
        ),
        (
            value({"above": 0}, {"pdg.eps": 0.1}),
            ["claims.0.value.at.pdg.eps: no coordinate", "did you mean pgd.eps?"],
        ),
        (
            value({"above": 0}, {"pgd.eps": 0.2}),
            ["at.pgd.eps: no cell at pgd.eps 0.2", "0, 8/255, 0.1"],
        ),
        (
            value({"above": 0}, {**CELL, "defence": "plain"}),
            ["claims.0.value.at: no cell has all of these"],
        ),
        (
            value({"above": 0}, over={"pgd.step": "mean"}),
            ["over.pgd.step: no coordinate", "pgd.eps"],
        ),
        (
            value({"above": 0}, over={"seed": "mean"}),
            ["over.seed: cannot run along `seed`: seeds are always averaged"],
        ),
        (
            value({"above": 0}, {}, over={"defence": "area"}),
            ["over.defence: expected numbers for defence, found rotations, plain"],
        ),
        (
            value({"above": 0}, CELL, over={"pgd.eps": "area"}),
            ["over.pgd.eps: expected several values of pgd.eps, found one: 0.1"],
        ),
        (
            trend("falling", along="rotations.max_degree"),
            ["along: no coordinate", "did you mean rotations.max_degrees?"],
        ),
        (
            trend("falling", at={}),
            ["claims.0.trend: ambiguous: several cells match, with pgd.eps (0, 8/255, 0.1)"],
        ),
        (
            compare({"above": 0}, at={}),
            ["claims.0.compare: ambiguous: several cells match, with pgd.eps"],
        ),
        (
            compare({"above": 0}, of={"rotations.max_degrees": 45}),
            ["compare.of.rotations.max_degrees: no cell at"],
        ),
        (
            compare({"above": 0}, at=CELL),
            ["of.rotations.max_degrees: given in both `at` and `of`"],
        ),
    ],
)
def test_a_claim_that_matches_no_cell_is_refused_with_its_place_and_a_hint(
    refused, claim, expected
):
    message = refused(claim)
    assert message.startswith("toy.yaml:16: claims.0.")
    for part in expected:
        assert part in message


def test_a_trend_leaves_out_cells_that_have_no_such_coordinate(planned):
    full = planned(spec(trend("falling")))
    validation.check(full)
    assert any(
        "rotations.max_degrees" not in cell.coords for cell in full.cells
    )  # the plain defence has none


def test_a_pair_must_be_measured_at_the_same_points(refused):
    message = refused(compare({"above": 0}, over={"rotations.max_degrees": "mean"}))
    assert "only one of them has a cell at rotations.max_degrees" in message


def test_every_problem_of_every_claim_is_reported(planned):
    wrong = value({"above": 0}, {**CELL, "pgd.eps": 3, "pgd.step": 1})
    text = spec(wrong, trend("falling", along="seed"), trend("falling"))
    places = [problem.where for problem in validation.problems(planned(text))]
    assert places == [
        "toy.yaml:16: claims.0.value.at.pgd.eps",
        "toy.yaml:16: claims.0.value.at.pgd.step",
        "toy.yaml:17: claims.1.trend.along",
    ]
