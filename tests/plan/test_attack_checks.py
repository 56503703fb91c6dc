"""Several attacks in place of one, and attacks made on another net, must fit."""

from __future__ import annotations

from typing import Any

import pytest
import yaml
from plan_toys import BASE, planned

from invspec.errors import SpecError
from invspec.plan import planner, validation
from invspec.spec import document, resolve


def sweep(*values: Any) -> dict[str, Any]:
    return {"sweep": list(values)}


def refusal(**changes: Any) -> str:
    with pytest.raises(SpecError) as caught:
        validation.check(planned(**changes))
    return str(caught.value)


def worst(*labels: str, use: str = "accuracy", **keys: Any) -> dict[str, Any]:
    return {"robust": {"use": use, "of": list(labels), **keys}}


# ─ the worst case ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "attacks",
    [
        {"pgd": {}, "apgd": {}, "square": {}},
        {"pgd": {"eps": sweep(0.1, 0.2)}, "apgd": {"eps": sweep(0.2, 0.1)}},
        {"pgd": {"steps": sweep(5, 10)}, "apgd": {}},
        {"pgd": {"norm": "l2", "eps": 1}, "apgd": {"norm": "l2", "eps": 1}},
        {"pgd": {"sample": {"limit": 5}}, "square": {"sample": {"limit": 5}}},
    ],
)
def test_attacks_that_search_one_set_are_accepted(attacks: dict[str, Any]) -> None:
    assert list(validation.problems(planned(attacks=attacks, measures=worst(*attacks)))) == []


TURN = {"use": "random_rotation", "max_degrees": sweep(0, 60)}


def test_attacks_on_images_of_one_transform_are_accepted_with_one_axis() -> None:
    attacks = {name: {"before": TURN, "eps": sweep(0.1, 0.2)} for name in ("pgd", "apgd")}
    plan = planned(attacks=attacks, measures=worst(*attacks))
    assert list(validation.problems(plan)) == []
    axes = {name: values for name, values in plan.coordinates().items() if "pgd" in name}
    assert axes == {"pgd.eps": [0.1, 0.2], "pgd.before.max_degrees": [0, 60]}


@pytest.mark.parametrize("union", [{}, {"union": True}])
@pytest.mark.parametrize("other", [{}, {"before": {"use": "fixed_rotation"}}])
def test_attacks_on_images_of_different_transforms_have_no_worst_case(
    other: dict[str, Any], union: dict[str, Any]
) -> None:
    attacks = {"pgd": {"before": {"use": "random_rotation"}}, "apgd": other}
    message = refusal(attacks=attacks, measures=worst(*attacks, **union))
    assert "needs the same images, found different `before` in pgd and apgd" in message
    assert "measures.robust.of" in message


@pytest.mark.parametrize(
    ("attacks", "words"),
    [
        (
            {"pgd": {}, "apgd": {"eps": 0.2}},
            "expected attacks that search the same set, found different eps: pgd 0.3; apgd 0.2",
        ),
        ({"pgd": {}, "apgd": {"norm": "l2"}}, "found different norm: pgd linf; apgd l2"),
        ({"pgd": {}, "none": {"use": "identity"}}, "found different eps: pgd 0.3; none none"),
        (
            {"pgd": {"eps": sweep(0.1, 0.3)}, "apgd": {"eps": 0.3}},
            "found different eps: pgd 0.1, 0.3; apgd 0.3",
        ),
        ({"pgd": {"eps_space": "standardised"}, "apgd": {}}, "found different eps_space"),
    ],
)
def test_attacks_that_search_different_sets_need_a_union(
    attacks: dict[str, Any], words: str
) -> None:
    message = refusal(attacks=attacks, measures=worst(*attacks))
    assert message.startswith("x.yaml: measures.robust.of: ")
    assert words in message
    assert "`union: true`" in message
    planned(attacks=attacks, measures=worst(*attacks, union=True))


def test_minimal_norm_attacks_search_one_set_if_they_have_one_norm() -> None:
    nearest = {"use": "boundary_distance"}
    planned(attacks={"ddn": {}, "fmn": {}, "pgd": {}}, measures=worst("ddn", "fmn", **nearest))
    attacks = {"ddn": {}, "fmn": {"norm": "linf"}}
    assert "different norm" in refusal(attacks=attacks, measures=worst("ddn", "fmn", **nearest))
    assert "different eps" in refusal(
        attacks={"ddn": {}, "pgd": {"norm": "l2"}}, measures=worst("ddn", "pgd", **nearest)
    )


@pytest.mark.parametrize(
    "sample",
    [{"limit": 6}, {"split": "val"}, {"targets": {"per_class": 1}}],
)
def test_attacks_on_different_samples_are_refused(sample: dict[str, Any]) -> None:
    attacks = {"pgd": {"sample": {"limit": 5}}, "square": {"sample": sample}}
    message = refusal(attacks=attacks, measures=worst("pgd", "square"))
    assert "needs one sample, found different ones in pgd and square" in message


@pytest.mark.parametrize(
    ("apgd", "words"),
    [
        (sweep(0.1, 0.3), "pgd (0.1, 0.2), apgd (0.1, 0.3)"),
        (sweep(0.1, 0.2, 0.3), "pgd (0.1, 0.2), apgd (0.1, 0.2, 0.3)"),
        (sweep(0.1), "pgd (0.1, 0.2), apgd (0.1)"),
    ],
)
@pytest.mark.parametrize("union", [False, True])
def test_unequal_sweeps_are_refused(apgd: Any, words: str, union: bool) -> None:
    attacks = {"pgd": {"eps": sweep(0.1, 0.2)}, "apgd": {"eps": apgd}}
    message = refusal(attacks=attacks, measures=worst("pgd", "apgd", union=union))
    assert f"expected equal sweeps of eps, found {words}" in message


def test_an_attack_is_named_once() -> None:
    assert "duplicate attack pgd" in refusal(measures=worst("pgd", "pgd"))


@pytest.mark.parametrize(
    ("use", "targets"), [("brittleness", {}), ("image_grid", {}), ("source_confidence", {})]
)
def test_a_measure_for_which_no_result_is_worse_is_refused(use: str, targets: Any) -> None:
    message = refusal(attacks={"pgd": {}, "apgd": {}}, measures=worst("pgd", "apgd", use=use))
    assert "takes 1 attack, found 2" in message
    assert "no worst case" in message


@pytest.mark.parametrize("of", [["pgd"], ["none", "pgd"]])
def test_union_is_for_several_attacks_in_place_of_one(of: list[str]) -> None:
    use = "accuracy" if len(of) == 1 else "robust_error"
    message = refusal(measures=worst(*of, use=use, union=True))
    assert message.startswith("x.yaml: measures.robust.union: `union` is for several attacks")


def test_measures_of_several_attacks_keep_their_meaning() -> None:
    (cell,) = planned(measures=worst("none", "pgd", use="robust_error")).cells
    assert cell.coords["attack"] == "none+pgd"
    assert (cell.goal.worst_of, len(cell.goal.of)) == (1, 2)


def test_images_that_all_nets_know_are_those_of_one_sample() -> None:
    attacks = {"pgd": {"sample": {"limit": 5}}, "none": {"use": "identity"}}
    measures = worst("none", "pgd", use="robust_error", correct_in_all=True)
    message = refusal(attacks=attacks, measures=measures)
    assert message.startswith("x.yaml: measures.robust.correct_in_all: `correct_in_all` needs one")


# ─ sources ────────────────────────────────────────────────────────────────────────────────────

MODELS = {"linear": {}, "mlp": {}, "wide": {"use": "mlp", "hidden": sweep([8], [16])}}


def from_net(attack: dict[str, Any] | None = None, **source: str) -> dict[str, Any]:
    return {"moved": {"use": "pgd", **(attack or {}), "from": source}}


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ({"model": "mpl", "defence": "standard"}, "from.model: no model has the label 'mpl'"),
        ({"model": "mlp", "defence": "standart"}, "from.defence: no defence has the label"),
        ({"model": "wide", "defence": "standard"}, "a source must be one model; model wide is"),
    ],
)
def test_a_source_is_one_net_of_the_spec(source: dict[str, str], words: str) -> None:
    message = refusal(models=MODELS, attacks=from_net(**source), measures=worst("moved"))
    assert message.startswith("x.yaml: attacks.moved.from")
    assert words in message
    assert "hint: " in message


def test_a_source_must_have_what_the_attack_needs() -> None:
    attacks = from_net({"eps_space": "standardised"}, model="mlp", defence="standard")
    message = refusal(models=MODELS, attacks=attacks, measures=worst("moved"))
    assert message.startswith("x.yaml: attacks.moved.from: the source of attack moved: ")
    assert "attack moved does not fit model mlp" in message


def test_the_attacked_net_need_not_have_what_the_attack_needs() -> None:
    models = {"linear": {}, "conv": {"use": "lenet"}, "stdcnn": {}}
    attacks = from_net({"eps_space": "standardised"}, model="stdcnn", defence="standard")
    plan = planned(models=models, attacks=attacks, measures=worst("moved"))
    assert list(validation.problems(plan)) == []


def test_a_source_must_fit_the_data() -> None:
    attacks = from_net(model="sign", defence="untrained")
    message = refusal(
        models={"linear": {}, "sign": {"use": "sign_first"}},
        defences={"standard": {}, "untrained": {}},
        attacks=attacks,
        measures=worst("moved"),
    )
    assert "the source of attack moved: sign on fake: SignClassifier" in message


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("from: {modle: linear, defence: standard}", "from.modle: unknown key 'modle'"),
        ("from: {model: linear}", "from.defence: is missing"),
        ("from: linear", "from: expected"),
    ],
)
def test_a_misspelt_source_is_named_with_its_line(line: str, words: str) -> None:
    text = yaml.safe_dump(BASE, sort_keys=False).replace("  pgd: {}", f"  pgd:\n    {line}")
    with pytest.raises(SpecError) as caught:
        planner.plan(resolve.resolve(document.parse(text, "x.yaml")))
    number = 1 + text.splitlines().index(f"    {line}")
    assert str(caught.value).startswith(f"x.yaml:{number}: attacks.pgd.{words}")


def test_only_an_attack_has_a_source() -> None:
    source = {"model": "linear", "defence": "standard"}
    message = refusal(measures={"accuracy": {"of": "pgd", "from": source}})
    assert "`from` is a key of attacks, found it in measures" in message
