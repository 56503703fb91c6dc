"""Scores that only read what attacks stored compute without a net."""

from __future__ import annotations

import math
import random
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from workbench import Memory, perturb, score, toys, train

from invspec.data import Examples, Interval, Outcomes, Row, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.measures.accuracy import Accuracy
from invspec.measures.top_k_error import TopKError
from invspec.models.linear import Linear
from invspec.ops.proxy import ModelProxy
from invspec.perform import proxies
from invspec.perform.runtime import Artifact
from invspec.scoring.rows import mean, share

SHIFT = perturb(toys.Shift(), train(seed=3))


@pytest.mark.parametrize(("measure", "nets"), [(Accuracy(), 0), (TopKError(k=2), 1)])
def test_a_net_is_built_for_measures_that_want_it(
    measure: Measure, nets: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime, built = Memory(), []
    runtime.load(SHIFT)
    deployed = proxies.deployed

    def counted(*task: object) -> nn.Module:
        built.append(task)
        return deployed(*task)

    monkeypatch.setattr(proxies, "deployed", counted)
    runtime.load(score(SHIFT, measure=measure))
    assert len(set(built)) == nets


class Pretending(Measure):
    """Says that it wants no model, and uses it."""

    wants_model: ClassVar[bool] = False
    asks: str = "logits"

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        if self.asks == "logits":
            model(attacked.x_adv)
        else:
            getattr(model, self.asks, None)
        return Scored([share(attacked.judged.correct, attacked.judged.index)])


@pytest.mark.parametrize(
    ("asks", "words"), [("logits", "calls the model"), ("temperature", "reads temperature of")]
)
def test_a_measure_that_uses_the_model_unasked_is_refused(asks: str, words: str) -> None:
    with pytest.raises(InvspecError, match=f"{words}.*\n.*wants_model = True"):
        Memory().load(score(SHIFT, measure=Pretending(asks=asks)))


class Mine(Measure):
    """Any measure of the model."""

    way: str

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        index = examples[0].judged.index
        match self.way:
            case "nan":
                return Scored([Row(Outcomes(torch.full((len(index),), torch.nan), index))])
            case "range":
                return Scored([mean(torch.full((len(index),), 3.0), index, within=(0.0, 1.0))])
            case "weighted":
                values = torch.linspace(-0.2, 1.2, len(index))
                return Scored([mean(values, index, within=(0.0, 1.0))])
            case "clipped":
                bits = torch.linspace(-0.5, 0.25, len(index))
                return Scored([mean(bits, index, within=(0.0, math.inf))])
            case "interval":
                return Scored([Row(interval=Interval(0.5, 0.6, 0.7, 3))])
            case "unknown":
                return Scored([Row(interval=Interval(torch.nan, 0.0, 1.0, 3))])
            case "mode":
                model.train()
            case "weights":
                next(model.parameters()).data.mul_(0.5)
            case "draws":
                drawn = torch.rand(len(index)) * float(np.random.rand()) * random.random()
                return Scored([mean(drawn, index)])
            case _:
                pass
        return Scored([mean(torch.zeros(len(index)), index)])


def scored(way: str) -> tuple[Row, ...]:
    return Memory().load(score(SHIFT, measure=Mine(way=way))).rows or ()


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("nan", r"Mine \(way nan\) returned outcomes of mean nan"),
        ("range", r"Mine \(way range\) returned outcomes of mean 3, expected 0 to 1"),
        ("interval", r"returned 0.5 with the interval \[0.6, 0.7\]"),
        ("unknown", r"returned nan with the interval \[0, 1\]"),
        ("mode", r"Mine \(way mode\) changed the net that it was given: mode of "),
        ("weights", r"Mine \(way weights\) changed the net that it was given: .*weight"),
    ],
)
def test_a_measure_that_breaks_a_promise_is_refused(way: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        scored(way)


def test_single_outcomes_may_leave_the_range_of_their_mean() -> None:
    """As the contributions to a weighted mean do."""
    (row,) = scored("weighted")
    assert row.outcomes is not None
    assert row.outcomes.values.max() > 1


def test_single_outcomes_may_be_below_a_range_that_clips_their_mean() -> None:
    """As those of a bound on information are, which is not negative as a whole."""
    (row,) = scored("clipped")
    assert row.outcomes is not None
    assert row.outcomes.values.min() < 0


def test_draws_of_a_measure_from_global_generators_repeat() -> None:
    state = torch.get_rng_state()
    assert scored("draws") == scored("draws")
    assert torch.equal(torch.get_rng_state(), state)


# ─ the worst of several attacks ─


class Hurts(Measure):
    """Says in some way how bad a result is."""

    way: str

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        judged = examples[0].judged
        return Scored([mean(judged.linf, judged.index)])

    def damage(self, model: nn.Module, attacked: Examples) -> Any:
        damage = attacked.judged.linf.double()
        match self.way:
            case "scalar":
                return damage.sum()
            case "number":
                return 0.0
            case "nan":
                return damage.where(damage > 0.2, torch.nan)
            case _:
                return damage.log()


def hurt(way: str) -> float:
    """The mean linf distance of the worse of two results, of which one is the clean image."""
    attacks = [perturb(toys.Shift(by=by), train(seed=3)) for by in (0.0, 0.25)]
    return distance(Memory().load(replace(score(*attacks, measure=Hurts(way=way)), worst_of=2)))


def distance(scored: Artifact) -> float:
    assert scored.rows is not None
    (row,) = scored.rows
    assert row.outcomes is not None
    return float(row.outcomes.values.mean())


@pytest.mark.parametrize(
    ("way", "message"),
    [
        ("scalar", r"damage of Hurts \(way scalar\) is \(\), expected \(20,\)"),
        ("number", r"damage of Hurts \(way number\) is a float, expected \(20,\)"),
        ("nan", r"damage of Hurts \(way nan\) is NaN for 20 of 20 examples"),
    ],
)
def test_damage_that_ranks_no_results_is_refused(way: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        hurt(way)


def test_damage_may_be_infinite() -> None:
    """The logarithm of a distance of 0 is the least: the other result counts."""
    assert hurt("log") > 0


# ─ oracles ─


class Asks(Measure):
    """The mean label that the oracle gives to attacked images."""

    wants_oracle: ClassVar[bool] = True

    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        (attacked,) = examples
        labels = attacked.oracle_labels(attacked.x_adv)
        return Scored([mean(labels, attacked.judged.index)])


class Bent(Linear):
    """A linear net with a flaw."""

    flaw: str

    def deploy(self, net: nn.Module) -> nn.Module:
        return Flawed(super().deploy(net), self.flaw).eval()


class Flawed(ModelProxy):
    def __init__(self, net: nn.Module, flaw: str) -> None:
        super().__init__(net)
        self.flaw = flaw

    def forward(self, x: Tensor) -> Tensor:
        logits = self.net(x)
        match self.flaw:
            case "batch":
                return logits - logits.mean(0)
            case "infinite":
                # only on attacked images
                return torch.where(x.flatten(1).amax(1, keepdim=True) < 1, logits, torch.inf)
            case "noise":
                return logits + torch.randn_like(logits)
            case _:
                return logits


def asked(flaw: str) -> Memory:
    runtime, oracle = Memory(), train(model=Bent(flaw=flaw), seed=4)
    runtime.load(
        replace(score(perturb(toys.Shift(by=1.0), train())), measure=Asks(), oracle=oracle)
    )
    return runtime


@pytest.mark.parametrize(
    ("flaw", "message"),
    [
        ("batch", r"^net Bent \(flaw batch\) gives the same image other logits in another batch"),
        (
            "infinite",
            r"^the oracle, net Bent \(flaw infinite\), gives logits .* on 20 of 20 images",
        ),
    ],
    ids=["batch", "infinite"],
)
def test_an_oracle_that_cannot_be_trusted_is_refused(flaw: str, message: str) -> None:
    with pytest.raises(InvspecError, match=message):
        asked(flaw)


def test_an_oracle_that_draws_is_told_of() -> None:
    assert asked("none").warnings == []
    (warning,) = asked("noise").warnings
    assert warning.startswith("net Bent (flaw noise) draws random numbers (torch)")
