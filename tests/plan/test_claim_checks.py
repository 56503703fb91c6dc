"""Claims that do not fit a plan are refused before a run, with their place and a hint."""

import pytest
from toy_specs import CELL, compare, spec, trade_off, trend, value

from invspec.errors import SpecError
from invspec.plan import planner, validation


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
    assert (
        "choose one, as with at: {rotations.max_degrees: 0}, or reduce them, as with over: "
        in message
    )


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


ROBUSTNESS, INVARIANCE = {"measure": "robustness"}, {"measure": "invariance"}
AT = {"model": "linear", "defence": "plain"}
NET = {"across": ["model", "defence"]}


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (
            {"difference": [{"measure": "robustnes"}, INVARIANCE]},
            ["value.difference.0.measure: no measure 'robustnes'", "did you mean robustness?"],
        ),
        (
            {"difference": [ROBUSTNESS, {**INVARIANCE, "at": {"pgd.eps": 0}}], "at": AT},
            ["value.difference.1.at.pgd.eps: no coordinate 'pgd.eps'"],
        ),
        (
            {"difference": [ROBUSTNESS, INVARIANCE], "at": {**AT, "pgd.eps": 0.1}},
            ["value.at.pgd.eps: no coordinate 'pgd.eps'"],
        ),
        (
            {"difference": [{**ROBUSTNESS, "at": {"model": "lenet"}}, 1], "at": AT},
            ["value.difference.0.at.model: given in both `at` and `at`", "give one"],
        ),
        (
            {"difference": [ROBUSTNESS, 0.5], "at": AT},
            ["value.difference.0: ambiguous: several cells match, with pgd.eps (0, 0.1, 0.2)"],
        ),
        (
            {"difference": [ROBUSTNESS, 0.5], "at": AT, "over": {"pgd.esp": "mean"}},
            ["value.over.pgd.esp: no coordinate 'pgd.esp'", "did you mean pgd.eps?"],
        ),
        (
            {
                "difference": [{**ROBUSTNESS, "at": {"pgd.eps": 0}}, 0.5],
                "at": AT,
                "over": {"pgd.eps": "mean"},
            },
            ["value.over.pgd.eps: every part fixes or reduces pgd.eps", "leave it free in one"],
        ),
        (
            {"difference": [ROBUSTNESS, 0.5], "at": AT, "over": {"seed": "mean"}},
            ["value.over.seed: cannot run along `seed`: seeds are always averaged"],
        ),
        (
            {"difference": [ROBUSTNESS, INVARIANCE], "over": {"measure": "mean"}},
            ["value.over.measure: cannot run along `measure`: each pick is of one measure"],
        ),
        (
            {"least_step": ROBUSTNESS, "at": {**AT, "pgd.eps": 0}, "along": "pgd.eps"},
            ["value.along: expected several values of pgd.eps, found one: 0"],
        ),
        (
            {"least_step": ROBUSTNESS, "along": "model", "at": {"defence": "plain", "pgd.eps": 0}},
            ["value.along: expected numbers for model, found linear, lenet"],
        ),
        (
            {
                "difference": [
                    {**ROBUSTNESS, "at": {"model": "linear", "pgd.eps": 0}},
                    {**INVARIANCE, "at": {"rotation.max_degrees": 0}},
                ],
                "over": {"model": "mean", "defence": "mean", "rotations.max_degrees": "mean"},
                "at": {"defence": "plain"},
            },
            ["value.over.defence: every part fixes or reduces defence"],
        ),
        (
            {"correlation": [ROBUSTNESS, INVARIANCE], **NET},
            ["value.correlation.0: ambiguous", "pgd.eps (0, 0.1, 0.2)"],
        ),
        (
            {
                "correlation": [
                    {**ROBUSTNESS, "at": {"pgd.eps": 0}},
                    {**INVARIANCE, "at": {"rotation.max_degrees": 0}},
                ],
                "at": AT,
                "across": "rotations.max_degrees",
            },
            ["value.across: expected several points across rotations.max_degrees, found one"],
        ),
        (
            {
                "correlation": [
                    {**ROBUSTNESS, "at": {"pgd.eps": 0, "model": "lenet"}},
                    {**INVARIANCE, "at": {"rotation.max_degrees": 0}},
                ],
                **NET,
            },
            ["value.across: the parts must have the same points, but only some vary along model"],
        ),
        (
            {
                "dominance": [
                    {**ROBUSTNESS, "over": {"pgd.eps": "mean"}},
                    {**INVARIANCE, "over": {"rotation.max_degrees": "mean"}},
                ],
                "across": ["modl"],
            },
            ["value.across: no coordinate 'modl'", "did you mean model?"],
        ),
    ],
)
def test_a_nested_number_that_matches_no_cells_is_refused_at_its_place(planned, number, expected):
    claim = {"value": number, "expect": {"value": {"above": -9, "below": 9}}}
    plan = planned(trade_off(claim))
    with pytest.raises(SpecError) as caught:
        validation.check(plan)
    for part in expected:
        assert part in str(caught.value)
    assert str(caught.value).startswith("toy.yaml:")


def test_parts_with_different_values_of_a_coordinate_are_not_paired(planned):
    text = trade_off(
        {
            "value": {
                "difference": [
                    {**ROBUSTNESS, "as": {"pgd.eps": "eps"}},
                    {"measure": "weaker", "as": {"other.eps": "eps"}},
                ],
                "at": AT,
                "over": {"eps": "magnitude"},
            },
            "expect": {"value": {"below": 0.1}},
        }
    )
    validation.check(planned(text))
    other = text.replace(
        "steps: 3, eps: {sweep: [0, 0.1, 0.2]}", "steps: 3, eps: {sweep: [0, 0.3]}"
    )
    with pytest.raises(SpecError, match="the parts are paired, but only one of them has a cell at"):
        validation.check(planned(other))


def test_premises_and_alternatives_are_checked_at_their_places(planned):
    wrong = {"value": {"measure": "accurcy", "at": AT}, "expect": {"value": {"above": 0.1}}}
    right = {"measure": "accuracy", "at": AT}
    bounds = [{"value": {"above": 0.5}}, {"value": {"below": 0.5}}]
    text = trade_off(
        {"value": right, "expect": bounds[0], "given": [wrong]},
        {"one_of": [{"says": "a", **wrong}, {"says": "b", "value": right, "expect": bounds[1]}]},
        {
            "value": {**right, "at": {"model": "lenett"}},
            "one_of": [{"says": "a", "expect": bounds[0]}, {"says": "b", "expect": bounds[1]}],
        },
    )
    places = [problem.where.split(": ")[1] for problem in validation.problems(planned(text))]
    assert places == [
        "claims.0.given.0.value.measure",
        "claims.1.one_of.0.value.measure",
        "claims.2.value.at.model",
    ]


TWINS = """
title: Twins
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {}}
attacks:
  fgsm: {eps: {sweep: [0.1, 0.2]}}
  twin: {use: fgsm, eps: {sweep: [0.1, 0.2]}}
measures:
  first: {use: accuracy, of: fgsm}
  second: {use: accuracy, of: twin}
train: [{dataset: fake, model: linear, defence: standard}]
claims:
  - says: one is the other
    value:
      OPERATION:
        - {measure: first, as: {fgsm.eps: eps}}
        - {measure: second, as: {twin.eps: eps}}
      over: {eps: greatest}
    expect: {value: {below: 0.5}}
"""


@pytest.mark.parametrize(("operation", "known"), [("difference", 0), ("ratio", 1)])
def test_two_labels_of_the_same_tasks_are_no_two_numbers(planned, operation, known):
    with pytest.raises(SpecError) as caught:
        validation.check(planned(TWINS.replace("OPERATION", operation)))
    assert f"claims.0.value: the {operation} is {known} whatever is measured" in str(caught.value)
    assert "the same tasks compute both sides (first and second)" in str(caught.value)


def test_labels_of_other_tasks_are_two_numbers(planned):
    others = planned(TWINS.replace("OPERATION", "difference").replace("use: fgsm", "use: pgd"))
    assert list(validation.problems(others)) == []


def test_a_smoke_run_gives_values_of_a_sweep_the_same_tasks(planned):
    text = """
title: Sweep
datasets: {fake: {}}
models: {linear: {}}
defences: {standard: {}}
attacks: {fgsm: {eps: {sweep: [0.1, 0.2, 0.3]}}}
measures: {accuracy: {of: fgsm}}
train: [{dataset: fake, model: linear, defence: standard}]
claims:
  - says: more is worse
    compare: {measure: accuracy, of: {fgsm.eps: 0.2}, to: {fgsm.eps: 0.3}}
    expect: {difference: {above: 0}}
"""
    plan = planned(text)
    smoke = planner.plan(plan.spec.smoke())
    # the first value has its own, and those after it share those of the last
    assert [len({cell.goal for cell in made.cells}) for made in (plan, smoke)] == [3, 2]
    assert list(validation.problems(plan)) == []
    assert list(validation.problems(smoke)) == []
