"""The training loop: updates by hand, auxiliaries, saved states, and a defence of one's own."""

from __future__ import annotations

import importlib
import math
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
import torch
from pydantic import Field
from recipes import Recording, Resumed, linear, points, trained, weights
from torch import Tensor, nn

from invspec.data import Batch, Curves, Journal, Split, TensorSplit
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.kinds import Defence
from invspec.ops.draws import Stream
from invspec.training import loop
from invspec.training.loop import fit
from invspec.training.loss import StepLoss
from invspec.training.prepared import PreparedTraining
from invspec.training.recipe import Recipe

ONES = TensorSplit(torch.ones(2, 1, 1, 1), torch.tensor([0, 0]))


def test_one_update_by_hand() -> None:
    model = trained(Standard(epochs=1, batch_size=2, lr=0.5), ONES)
    # at zero weights the gradient of the mean loss is probs - onehot = (-1/2, 1/2), for both layers
    assert weights(model).tolist() == [0.25, -0.25, 0.25, -0.25]


@pytest.mark.parametrize("optimiser", ["adam", "adamax"])
def test_adam_and_adamax_start_with_steps_of_the_learning_rate(optimiser: Any) -> None:
    model = trained(Standard(epochs=1, batch_size=2, optimiser=optimiser, lr=0.125), ONES)
    assert weights(model).tolist() == pytest.approx([0.125, -0.125, 0.125, -0.125], abs=1e-6)


def test_weight_decay_shrinks_weights_that_the_loss_ignores() -> None:
    data, model = TensorSplit(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])), linear()
    weight = nn.init.ones_(model.get_parameter("1.weight"))
    trained(Standard(epochs=1, batch_size=2, lr=0.5, momentum=0, weight_decay=0.5), data, model)
    assert weight.flatten().tolist() == [0.75, 0.75]


def test_a_model_without_weights_cannot_be_trained() -> None:
    with pytest.raises(InvspecError, match="no weights to train"):
        trained(Standard(), model=nn.Flatten())


# ─ defences of one's own ──────────────────────────────────────────────────────────────────────────


IMPORTS = """\
from dataclasses import replace
from pydantic import Field
from torch import nn
from invspec.data import Batch
from invspec.ops.draws import Stream
from invspec.training.prepared import PreparedTraining

"""


@pytest.fixture
def noisy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Any]]:
    """The defence in the docstring of `loop`, from a file, as a user would write it."""
    lines = str(loop.__doc__).splitlines()
    indented = [line for line in lines if line.startswith("    ") or not line]
    start = next(n for n, line in enumerate(indented) if line.startswith("    class "))
    (tmp_path / "noisy.py").write_text(IMPORTS + dedent("\n".join(indented[start:])))
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("noisy").Noisy
    del sys.modules["noisy"]


def test_a_defence_of_ones_own_says_what_a_batch_becomes(noisy: Any) -> None:
    recipe = {"epochs": 2, "batch_size": 4}
    clean, silent, changed = (
        weights(trained(defence))
        for defence in (Standard(**recipe), noisy(deviation=0, **recipe), noisy(**recipe))
    )
    assert torch.equal(silent, clean)
    assert not torch.equal(changed, clean)
    assert noisy().identity["fields"]["deviation"] == 0.1


class Watched(PreparedTraining):
    """Standard training that lists the indices it learns from."""

    seen: list[int] = Field(default_factory=list[int])

    def prepare(self, net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
        self.seen.extend(batch.index.tolist())
        return batch


def test_examples_limits_training_to_the_first_ones() -> None:
    defence = Watched(epochs=2, batch_size=2, examples=3)
    trained(defence)
    assert sorted(defence.seen) == [0, 0, 1, 1, 2, 2]


def smoothed(net: nn.Module, batch: Batch, progress: float, rng: Stream) -> Batch:
    return replace(batch, y=torch.full((len(batch), 2), 0.5))


def test_labels_may_be_probabilities() -> None:
    model = linear()
    fit(model, points(), Stream("key"), Journal(), Recipe(epochs=3, lr=1), prepare=smoothed)
    assert weights(model).tolist() == [0, 0, 0, 0]  # already at the optimum


# ─ an auxiliary ───────────────────────────────────────────────────────────────────────────────────


class Tempered(Recipe, Defence):
    """Learns a scale of the logits beside the model, and logs it."""

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        scale = nn.ParameterDict({"scale": torch.ones(())})

        def loss(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
            logits = scale["scale"] * net(batch.x)
            value = nn.functional.cross_entropy(logits, batch.y)
            return StepLoss(value, logits, {"scale": scale["scale"]})

        return fit(model, data, rng, journal, self, loss=loss, auxiliary=scale)


def curves_of(journal: Journal) -> Curves:
    recipe = Tempered(epochs=3, batch_size=5, lr=0.5)
    return recipe.train(linear(), points(), Stream("key"), journal)


def test_an_auxiliary_learns_with_the_model_and_may_log_numbers() -> None:
    curves = curves_of(Journal())
    assert list(curves) == ["loss", "accuracy", "scale"]
    assert len(set(curves["scale"])) == 3


def test_a_resumed_training_resumes_its_auxiliary() -> None:
    journal = Recording()
    curves = curves_of(journal)
    assert curves_of(Resumed(journal.states[0])) == curves


def test_gradients_of_model_and_auxiliary_are_rescaled_together() -> None:
    model, scale = linear(), nn.ParameterDict({"scale": torch.ones(())})
    bias = model.get_parameter("1.bias")

    def loss(net: nn.Module, batch: Batch, rng: Stream) -> StepLoss:
        return StepLoss(3 * scale["scale"] + 4 * bias[0], net(batch.x))

    recipe = Recipe(epochs=1, batch_size=10, lr=0.5, momentum=0, max_gradient_norm=1)
    fit(model, points(), Stream("key"), Journal(), recipe, loss=loss, auxiliary=scale)
    assert bias[0].item() == pytest.approx(-0.5 * 4 / 5)
    assert scale["scale"].item() == pytest.approx(1 - 0.5 * 3 / 5)


class Penalised(nn.Linear):
    """A model whose penalty pulls its bias down."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.flatten(1))

    def penalty(self) -> Tensor:
        return self.bias.sum()


def test_the_penalty_of_a_model_is_added_to_the_loss() -> None:
    plain, penalised = nn.Linear(1, 2), Penalised(1, 2)
    for model in (plain, penalised):
        for weight in model.parameters():
            nn.init.zeros_(weight)
    curves = Standard(epochs=1, batch_size=2, lr=0.5).train(
        penalised, ONES, Stream("key"), Journal()
    )
    trained(Standard(epochs=1, batch_size=2, lr=0.5), ONES, nn.Sequential(nn.Flatten(), plain))
    assert torch.equal(penalised.weight, plain.weight)
    assert torch.equal(penalised.bias, plain.bias - 0.5)
    assert curves["loss"] == pytest.approx([math.log(2)])


# ─ the journal ────────────────────────────────────────────────────────────────────────────────────


def test_each_epoch_is_saved_with_its_history() -> None:
    journal = Recording()
    trained(Standard(epochs=3, batch_size=4), journal=journal)
    assert [len(state["history"]) for state in journal.states] == [1, 2, 3]
    assert journal.states[0]["history"][0]["loss"] == pytest.approx(math.log(2), abs=0.01)
    assert [done for done, _, _ in journal.steps] == [3, 6, 9]
    assert journal.steps[-1][2].keys() == {"loss", "accuracy"}
