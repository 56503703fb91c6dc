"""Known information: signs that a channel flips, in one part of an orthogonal code."""

import math
from dataclasses import replace

import pytest
import torch
from channels import D, Turned, channel, examples, images
from shown import shown
from torch import nn

from invspec.errors import InvspecError
from invspec.kinds import Bijective
from invspec.measures.nuisance_information import NuisanceInformation
from invspec.scoring import codes
from invspec.scoring.information import entropy, frequencies, pointwise

QUICK = {"hidden": 32, "epochs": 3, "batch_size": 128, "lr": 0.01}
# bits: three standard errors of an estimate from N examples, by a classifier fitted to N others
SLACK = 0.05


def binary_entropy(p):
    return -sum(q * math.log2(q) for q in (p, 1 - p) if q)


def rows(train, judged, model=None, **fields):
    score = NuisanceInformation(**{**QUICK, **fields}).score(model or Turned(), train, judged)
    return {row.where["quantity"]: row for row in shown(score)}


def bits(features, flips):
    return rows(channel(*flips, seed=1), channel(*flips, seed=2), features=features)["bits"].value


# ─ the bound ──────────────────────────────────────────────────────────────────────────────────


def test_ignorance_has_no_bits_and_certainty_all():
    y = torch.arange(1000) % 10
    constant = torch.zeros(1000, 10, dtype=torch.float64).log_softmax(1)
    perfect = torch.full_like(constant, -torch.inf)
    perfect[torch.arange(1000), y] = 0
    assert pointwise(constant, y).mean().item() == pytest.approx(0, abs=1e-12)
    assert pointwise(perfect, y).mean().item() == pytest.approx(math.log2(10), abs=1e-12)
    assert entropy(frequencies(y)) == pytest.approx(3.3219, abs=1e-4)


def test_label_frequencies_alone_give_no_bits():
    y = torch.tensor([0] * 70 + [1] * 20 + [3] * 10)
    known = torch.tensor([0.7, 0.2, 1e-9, 0.1]).double().log().expand(100, 4)
    assert pointwise(known, y).mean().item() == pytest.approx(0, abs=1e-7)
    assert entropy(frequencies(y)) == pytest.approx(
        1.1568, abs=1e-4
    )  # 0.7, 0.2 and 0.1, a class without examples
    uniform = torch.full((100, 4), -math.log(4)).double()
    assert pointwise(uniform, y).mean().item() == pytest.approx(1.1568 - 2, abs=1e-4)


@pytest.mark.parametrize("flips", [0.0, 0.1, 0.3])
def test_the_nuisance_has_the_bits_of_the_channel_that_leads_to_it(flips):
    found = rows(channel(0.0, flips, seed=1), channel(0.0, flips, seed=2))
    assert found["bits"].value == pytest.approx(1 - binary_entropy(flips), abs=SLACK)
    assert found["error"].value == pytest.approx(flips, abs=0.03)  # three standard errors
    assert found["bits"].low <= 1 - binary_entropy(flips) <= found["bits"].high + SLACK
    assert found["label_bits"].value == pytest.approx(1)


def test_a_nuisance_without_the_label_gives_chance_and_no_bits():
    found = rows(channel(0.0, 0.5, seed=1), channel(0.0, 0.5, seed=2))
    assert found["error"].value == pytest.approx(0.5, abs=0.04)
    assert found["bits_unclipped"].value <= 0.01
    assert (found["bits"].value, found["bits"].low) == (max(found["bits_unclipped"].value, 0), 0)


def test_a_nuisance_with_the_label_gives_no_error():
    found = rows(channel(0.5, 0.0, seed=1), channel(0.5, 0.0, seed=2))
    assert found["error"].value == found["train_error"].value == 0
    assert found["bits"].value == pytest.approx(1, abs=0.01)
    assert found["train_bits"].value == pytest.approx(1, abs=0.01)


def test_negative_bits_are_clipped_and_reported():
    train, judged = (
        channel(0.0, 0.0, seed=1),
        channel(0.0, 1.0, seed=2),
    )  # the sign now means the other label
    found = rows(train, judged)
    assert found["bits_unclipped"].value < -1
    assert (found["bits"].value, found["bits"].low, found["bits"].high) == (0, 0, 0)
    assert (found["error"].value, found["train_error"].value) == (1, 0)


def test_the_whole_code_has_at_least_the_bits_of_either_part():
    flips = (0.15, 0.1)
    part = {features: bits(features, flips) for features in ("semantic", "nuisance", "all")}
    assert part["semantic"] == pytest.approx(1 - binary_entropy(flips[0]), abs=SLACK)
    assert part["all"] >= max(part["semantic"], part["nuisance"]) - SLACK
    # two independent channels: the signs agree with probability a, and are then wrong with w
    a, both_wrong = 1 - 0.15 * 0.9 - 0.85 * 0.1, 0.15 * 0.1
    differ = 0.15 * 0.9 / (1 - a)
    joint = 1 - a * binary_entropy(both_wrong / a) - (1 - a) * binary_entropy(differ)
    assert part["all"] == pytest.approx(joint, abs=SLACK)


def test_no_part_of_the_code_has_more_bits_than_the_pixels():
    pixels = bits("pixels", (0.2, 0.1))
    for features in ("semantic", "nuisance", "all"):
        assert bits(features, (0.2, 0.1)) <= pixels + SLACK


def test_pixels_need_no_bijective_net():
    assert NuisanceInformation(features="pixels").accepts is None
    assert NuisanceInformation().accepts is Bijective
    plain = nn.Sequential(nn.Flatten(), nn.Linear(D, 2))
    assert (
        rows(channel(0.0, 0.0, 1), channel(0.0, 0.0, 2), model=plain, features="pixels")[
            "error"
        ].value
        == 0
    )


def test_three_classes_have_more_bits_than_two():
    model = Turned(classes=3)
    y = torch.arange(2000) % 3
    corners = torch.zeros(2000, D)
    corners[torch.arange(2000), 4 + y] = 3
    split = images(
        model, corners + 0.1 * torch.randn(2000, D, generator=torch.Generator().manual_seed(3)), y
    )
    found = rows(examples(split), examples(split), model=model)
    assert found["bits"].value == pytest.approx(math.log2(3), abs=0.01)


# ─ the fit ────────────────────────────────────────────────────────────────────────────────────


def test_fitting_is_reproducible_and_leaves_torchs_generator_alone():
    train, judged = channel(0.0, 0.1, seed=1, n=400), channel(0.0, 0.1, seed=2, n=400)
    torch.manual_seed(1)
    first, state = rows(train, judged, dropout=0.1), torch.random.get_rng_state()
    torch.manual_seed(2)
    assert rows(train, judged, dropout=0.1) == first
    torch.manual_seed(1)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_best_epoch_on_held_out_examples_is_kept():
    train, judged = (
        channel(0.0, 0.5, seed=1, n=60),
        channel(0.0, 0.5, seed=2, n=600),
    )  # there is nothing to learn
    long = {"hidden": 64, "epochs": 25, "lr": 0.03, "batch_size": 16}
    last, best = (rows(train, judged, **long, validation=share) for share in (0.0, 0.3))
    assert last["train_error"].value < 0.1
    assert best["bits_unclipped"].value > last["bits_unclipped"].value + 1


def test_codes_that_are_not_held_are_recomputed_with_the_same_result(monkeypatch):
    train, judged = channel(0.0, 0.1, seed=1, n=300), channel(0.0, 0.1, seed=2, n=300)
    here = rows(train, judged)
    monkeypatch.setattr(codes, "MAX_HELD", 0)
    anew = rows(train, judged)
    assert {name: row.value for name, row in anew.items()} == pytest.approx(
        {k: r.value for k, r in here.items()}, abs=1e-3
    )


def test_infinite_codes_and_too_few_examples_are_refused():
    one, two = channel(0.0, 0.0, seed=1, n=1), channel(0.0, 0.0, seed=1, n=40)
    with pytest.raises(InvspecError, match="1 examples are too few"):
        rows(one, two)
    broken = replace(two, clean=replace(two.clean, pixels=two.clean.pixels / 0))
    with pytest.raises(InvspecError, match="not finite"):
        rows(broken, two)
