"""Scores that only read what attacks stored compute without a net."""

from __future__ import annotations

from typing import ClassVar

import pytest
from torch import nn
from workbench import Memory, perturb, score, toys, train

from invspec.data import Examples, Scored
from invspec.errors import InvspecError
from invspec.kinds import Measure
from invspec.measures.accuracy import Accuracy
from invspec.measures.top_k_error import TopKError
from invspec.perform import proxies
from invspec.scoring.rows import share

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
