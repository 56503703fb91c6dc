"""Names of weights, matched with those of a net."""

from __future__ import annotations

import pytest

from invspec.files.names import match

NET = ["conv.weight", "conv.bias", "bn.num_batches_tracked", "fc.weight", "fc.bias"]


def prefixed(prefix: str, names: list[str] = NET) -> list[str]:
    return [prefix + name for name in names]


@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "model.", "backbone.", "module._orig_mod.model."]
)
def test_the_prefix_of_wrappers_on_either_side_is_matched(prefix: str) -> None:
    for weights, net in ((prefixed(prefix), NET), (NET, prefixed(prefix))):
        found = match(weights, net)
        assert found.is_complete
        renamed = found.renamed(dict(zip(weights, range(5), strict=True)))
        assert renamed == dict(zip(net, range(5), strict=True))


def test_different_prefixes_of_both_sides_are_matched() -> None:
    found = match(prefixed("module."), prefixed("backbone.net."))
    assert (found.strip, found.add, found.is_complete) == ("module.", "backbone.net.", True)


@pytest.mark.parametrize("prefix", ["net.", "encoder.", "module.student."])
def test_other_prefixes_are_seen_and_not_taken(prefix: str) -> None:
    found = match(prefixed(prefix), NET)
    assert (found.strip, found.missing, found.extra) == (prefix, (), ())
    assert not found.is_complete
    # there is no other way to say that the model has a prefix
    assert match(NET, prefixed(prefix)).is_complete


def test_a_layer_named_like_a_wrapper_keeps_its_name() -> None:
    net = ["module.weight", "weight"]
    assert match(net, net).renamed({"module.weight": 1, "weight": 2}) == {
        "module.weight": 1,
        "weight": 2,
    }


def test_names_beyond_the_prefix_are_extra() -> None:
    found = match([*prefixed("model."), "loss.weight", "model.mu"], NET)
    assert found.missing == ()
    assert found.extra == ("loss.weight", "model.mu")


def test_two_nets_in_one_file_are_not_mixed() -> None:
    found = match([*prefixed("a."), *prefixed("b.")], NET)
    assert len(found.extra) == len(NET)
    assert len({name[0] for name in found.extra}) == 1


def test_counters_alone_may_be_missing() -> None:
    assert match(NET[:2] + NET[3:], NET).is_complete
    assert match(NET[1:], NET).missing == ("conv.weight",)


def test_the_counter_of_an_averaged_model_is_taken_with_its_prefix_only() -> None:
    averaged = match([*prefixed("module."), "n_averaged"], NET)
    assert averaged.is_complete
    assert "n_averaged" not in averaged.renamed(dict.fromkeys([*prefixed("module."), "n_averaged"]))
    assert match([*NET, "n_averaged"], NET).extra == ("n_averaged",)


def test_nothing_matches_nothing() -> None:
    assert match([], NET[:1]).missing == tuple(NET[:1])
    assert match([], []).is_complete


def test_thousands_of_names_take_no_time() -> None:
    net = [f"block{block}.layer{layer}.weight" for block in range(100) for layer in range(100)]
    assert match(prefixed("module.", net), net).is_complete
