"""Every form of a claim becomes a tree whose leaves know their place in the spec."""

from __future__ import annotations

from invspec.spec.numbers import Compare, Operation, Pick, Trend
from invspec.spec.trees import Node, tree


def test_the_sides_of_a_compare_are_the_leaves_of_a_difference() -> None:
    form = Compare(measure="a", at={"x": 1}, of={"m": 1}, to={"m": 2}, over={"y": "least"})
    node = tree(form, "difference", ("compare",))
    first, second = node.leaves
    assert (first.at, second.at) == ({"x": 1, "m": 1}, {"x": 1, "m": 2})
    assert [place.path for place in second.places] == [("compare", "at"), ("compare", "to")]
    assert node.is_compare
    assert node.own_axes == ("y",)
    assert node.where("y") == ("compare", "over", "y")


def test_a_trend_reduces_its_pick_before_it_is_correlated() -> None:
    node = tree(Trend(measure="a", along="x", over={"y": "area"}), "correlation", ())
    (inner,) = node.parts
    assert isinstance(inner, Node)
    assert (node.own_axes, inner.own_axes) == (("x",), ("y",))
    assert node.must_be_numbers("x")
    assert inner.must_be_numbers("y")


def test_at_of_an_operation_narrows_every_pick_inside() -> None:
    inner = {"ratio": [{"measure": "b", "at": {"y": 2}}, 3], "at": {"z": 3}}
    form = Operation.model_validate({"difference": [{"measure": "a"}, inner], "at": {"x": 1}})
    first, second = tree(form, "difference", ("value",)).leaves
    assert (first.at, second.at) == ({"x": 1}, {"x": 1, "z": 3, "y": 2})
    assert second.path == ("value", "difference", 1, "ratio", 0)
    assert first.may_be_constant


def test_a_plain_pick_must_have_the_coordinates_that_it_is_reduced_over() -> None:
    (leaf,) = tree(Pick(measure="a", over={"x": "mean"}), "value", ()).leaves
    assert not leaf.may_be_constant


def test_a_coordinate_that_is_reduced_inside_does_not_reach_the_leaf() -> None:
    parts = [{"measure": "a", "over": {"x": "mean"}}, {"measure": "b"}]
    form = Operation.model_validate({"difference": parts, "over": {"x": "least"}})
    node = tree(form, "difference", ())
    assert [leaf.measure for leaf in node.reached("x")] == ["b"]


def test_a_leaf_translates_renamed_coordinates() -> None:
    pick = Pick.model_validate({"measure": "a", "as": {"pgd.eps": "eps"}})
    (leaf,) = tree(pick, "value", ()).leaves
    assert (leaf.own("eps"), leaf.own("model")) == ("pgd.eps", "model")
