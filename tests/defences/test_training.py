import copy
import math
from dataclasses import replace

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from invspec.attacks.pgd import PGD
from invspec.attacks.ppgd import PPGD
from invspec.data import Batch, Journal, TensorSplit
from invspec.defences.adversarial_training import AdversarialTraining
from invspec.defences.avg import AVG
from invspec.defences.standard import Standard
from invspec.errors import InvspecError
from invspec.models.stdcnn import StdCNN
from invspec.ops.draws import Stream
from invspec.ops.geometry import rotate
from invspec.registry.methods import make
from invspec.training.augmentation import dequantised, enlarged, mirrored, shifted
from invspec.training.loop import Training
from invspec.training.modes import attackable
from invspec.training.objective import Objective
from invspec.training.precision import InPrecision


def points(n=10, labels=2):
    """n one-pixel images, label n mod labels."""
    return TensorSplit(torch.arange(n).float().view(n, 1, 1, 1) / n, torch.arange(n) % labels)


def linear(labels=2):
    model = nn.Sequential(nn.Flatten(), nn.Linear(1, labels))
    nn.init.zeros_(model[1].weight)
    nn.init.zeros_(model[1].bias)
    return model


def weights(model):
    return torch.cat([weight.detach().flatten() for weight in model.parameters()])


def fit(recipe, data=None, model=None, journal=None):
    model = model or linear()
    recipe.train(model, data or points(), Stream("key"), journal or Journal())
    return model


def test_one_update_by_hand():
    data = TensorSplit(torch.ones(2, 1, 1, 1), torch.tensor([0, 0]))
    model = fit(Standard(epochs=1, batch_size=2, lr=0.5), data)
    # at zero weights the gradient of the mean loss is probs - onehot = (-1/2, 1/2), for weight and bias alike
    assert weights(model).tolist() == [0.25, -0.25, 0.25, -0.25]


@pytest.mark.parametrize(
    ("recipe", "progress", "rate"),
    [
        (Standard(lr=2), 0.7, 2),
        (Standard(lr=2, schedule="cosine"), 0.5, 1),
        (Standard(lr=2, schedule="cosine"), 1 / 3, 1.5),
        (Standard(lr=2, schedule="one_cycle", warmup=0.4), 0.2, 1),
        (Standard(lr=2, schedule="one_cycle", warmup=0.4), 0.4, 2),
        (Standard(lr=2, schedule="one_cycle", warmup=0.4), 0.7, 1),
        (Standard(lr=2, schedule="one_cycle", warmup=0), 0.5, 1),
        (Standard(lr=2, schedule="one_cycle", warmup=1), 0.5, 1),
        (Standard(lr=2, epochs=8, schedule="milestones", milestones=(4, 6)), 0.49, 2),
        (Standard(lr=2, epochs=8, schedule="milestones", milestones=(4, 6)), 0.51, 0.2),
        (Standard(lr=2, epochs=8, schedule="milestones", milestones=(4, 6), decay=0.5), 0.9, 0.5),
    ],
)
def test_the_learning_rate_along_each_schedule(recipe, progress, rate):
    assert recipe.learning_rate(progress) == pytest.approx(rate)


def test_milestones_and_their_schedule_come_together():
    with pytest.raises(ValidationError, match="do not go together"):
        Standard(milestones=(3,))
    with pytest.raises(ValidationError, match="do not go together"):
        Standard(schedule="milestones")


@pytest.mark.parametrize("milestones", [(50,), (-3, 1), (0,), (1, 1), (2, 1)])
def test_milestones_are_rising_epochs_of_the_training(milestones):
    with pytest.raises(ValidationError, match="are not rising epochs below 3"):
        Standard(epochs=3, schedule="milestones", milestones=milestones)


def test_only_the_first_examples_are_learnt_from():
    seen = []

    class Watching(Training):
        def prepare(self, model, batch, progress, rng):
            seen.extend(batch.index.tolist())
            return super().prepare(model, batch, progress, rng)

    fit(Watching(epochs=2, batch_size=2, examples=3))
    assert sorted(seen) == [0, 0, 1, 1, 2, 2]


def test_labels_may_be_probabilities():
    class Smoothed(Training):
        def prepare(self, model, batch, progress, rng):
            return replace(batch, y=torch.full((len(batch), 2), 0.5))

    model = fit(Smoothed(epochs=3, lr=1))
    assert weights(model).tolist() == [0, 0, 0, 0]  # already at the optimum


def test_adam_takes_steps_of_the_learning_rate():
    data = TensorSplit(torch.ones(2, 1, 1, 1), torch.tensor([0, 0]))
    model = fit(Standard(epochs=1, batch_size=2, optimiser="adam", lr=0.125), data)
    assert weights(model).tolist() == pytest.approx([0.125, -0.125, 0.125, -0.125], abs=1e-6)


def test_weight_decay_shrinks_weights_that_the_loss_ignores():
    data, model = TensorSplit(torch.zeros(2, 1, 1, 1), torch.tensor([0, 1])), linear()
    weight = nn.init.ones_(model.get_parameter("1.weight"))
    fit(Standard(epochs=1, batch_size=2, lr=0.5, momentum=0, weight_decay=0.5), data, model)
    assert weight.flatten().tolist() == [0.75, 0.75]


class Failing(Training):
    """Learns well until the update after so many, whose images are not numbers."""

    def prepare(self, model, batch, progress, rng):
        return replace(batch, x=batch.x * math.nan) if 7 in batch.index.tolist() else batch


def test_a_loss_that_is_not_finite_names_epoch_and_step():
    class Ordered(TensorSplit):
        def batches(self, size, shuffle=None):
            return super().batches(size)

    data = points()
    with pytest.raises(InvspecError, match="the loss is nan in epoch 1, step 4 of 5") as refusal:
        fit(Failing(epochs=3, batch_size=2), Ordered(data.pixels, data.y))
    assert "lower lr" in refusal.value.hint


class Frequent(Journal):
    def __init__(self):
        self.steps, self.saves = [], []

    def step(self, done, total, **numbers):
        self.steps.append((done, total, numbers))

    def save(self, state):
        self.saves.append(
            {key: state[key] for key in ("rng", "history")} | {"history": list(state["history"])}
        )


def test_each_epoch_is_saved_with_its_history():
    journal = Frequent()
    fit(Standard(epochs=3, batch_size=4), journal=journal)
    assert [len(state["history"]) for state in journal.saves] == [1, 2, 3]
    assert journal.saves[0]["history"][0]["loss"] == pytest.approx(math.log(2), abs=0.01)
    assert [done for done, _, _ in journal.steps] == [3, 6, 9]
    assert journal.steps[-1][2].keys() == {"loss", "accuracy"}


def test_slow_updates_are_reported_one_by_one(monkeypatch):
    monkeypatch.setattr("invspec.training.log._SECONDS_BETWEEN_REPORTS", -1)
    journal = Frequent()
    fit(Standard(epochs=1, batch_size=4), journal=journal)
    assert [done for done, _, _ in journal.steps] == [1, 2, 3]


class Caching(nn.Linear):
    """Keeps in eval mode what it computed from its weights when it was put there, as equivariant layers do."""

    def train(self, mode=True):
        if not mode:
            self.kept = 2 * self.weight
        return super().train(mode)

    def forward(self, input):
        return nn.functional.linear(input, 2 * self.weight if self.training else self.kept)


def test_an_attackable_model_can_be_differentiated_again_and_again():
    model, x = Caching(3, 2), torch.rand(1, 3, requires_grad=True)
    with attackable(model):
        assert not model.training
        assert not any(weight.requires_grad for weight in model.parameters())
        for _ in range(2):
            assert torch.autograd.grad(model(x).sum(), x)[0].shape == x.shape
    assert model.training
    assert all(weight.requires_grad for weight in model.parameters())


def test_an_attackable_model_is_put_back_after_a_failure_too():
    model = nn.Linear(3, 2).eval()
    model.bias.requires_grad_(False)
    with pytest.raises(RuntimeError), attackable(model):
        raise RuntimeError
    assert not model.training
    assert (model.weight.requires_grad, model.bias.requires_grad) == (True, False)


def test_a_shift_moves_whole_images_and_brings_in_zeros():
    x = torch.arange(1.0, 13).view(1, 1, 3, 4).expand(200, 1, 3, 4)
    moved = shifted(x, 1, Stream("key"))
    padded = nn.functional.pad(x[:1], [1] * 4)
    expected = {
        tuple(padded[0, 0, i : i + 3, j : j + 4].flatten().tolist())
        for i in range(3)
        for j in range(3)
    }
    assert {
        tuple(image.flatten().tolist()) for image in moved
    } == expected  # all nine are drawn among 200


def boxes(shares, n=500, side=64):
    """What `enlarged` cut from images that hold their own coordinates: left, right, top, bottom (n,) as shares."""
    centres = (torch.arange(side) + 0.5) / side
    x = torch.stack([centres.expand(side, side), centres[:, None].expand(side, side)]).expand(
        n, 2, side, side
    )
    cut = enlarged(x, shares, Stream("key")).double()
    across, down = cut[:, 0, 0], cut[:, 1, :, 0]
    slopes = [(each[:, side // 2 + 1] - each[:, side // 2]) * side for each in (across, down)]
    middles = [(each[:, side // 2 - 1] + each[:, side // 2]) / 2 for each in (across, down)]
    torch.testing.assert_close(
        cut[:, 0], across[:, None].expand(n, side, side), atol=1e-5, rtol=0
    )  # rows are alike: upright
    return slopes, middles


def test_enlarged_boxes_have_the_shares_shapes_and_places_of_the_recipe():
    (width, height), (across, down) = boxes((0.08, 1.0))
    area, aspect = width * height, width / height
    whole = (width > 0.999) | (height > 0.999)  # a side was cut to the image's
    assert 0.08 - 1e-4 < area.min() < 0.1
    assert 0.9 < area.max() <= 1 + 1e-4
    assert 0.75 - 1e-3 < aspect[~whole].min() < 0.77
    assert 1.3 < aspect[~whole].max() < 4 / 3 + 1e-3
    assert abs(aspect[~whole].log().mean()) < 0.03  # its standard error is 0.17 / sqrt(350) = 0.009
    for middle, size in ((across, width), (down, height)):
        assert (middle - size / 2).min() > -1e-4
        assert (middle + size / 2).max() < 1 + 1e-4
    corner = (across - width / 2)[~whole] / (1 - width[~whole])
    assert (
        abs(corner.mean() - 0.5) < 0.06
    )  # uniform: its standard error is 0.29 / sqrt(350) = 0.016


def test_an_enlarged_box_of_the_whole_area_is_at_least_three_quarters_of_each_side():
    (width, height), _ = boxes((1.0, 1.0))
    assert torch.maximum(width, height).sub(1).abs().max() < 1e-4
    assert torch.minimum(width, height).min() > 3**0.5 / 2 - 1e-3


def test_boxes_are_enlarged_before_all_else_and_drawn_anew():
    rng, x = Stream("key"), images().x
    expected = mirrored(shifted(enlarged(x, (0.5, 1.0), rng), 1, rng), rng)
    recipe = Standard(resized_crop=(0.5, 1), crop=1, flip=True)
    assert torch.equal(lesson_of(recipe, images()).x, expected)
    assert not torch.equal(enlarged(x, (0.5, 1.0), rng), enlarged(x, (0.5, 1.0), rng))


@pytest.mark.parametrize("shares", [(0, 1), (0.5, 1.1), (0.9, 0.1)])
def test_shares_of_an_image_are_a_range_within_it(shares):
    with pytest.raises(ValidationError, match="resized_crop"):
        Standard(resized_crop=shares)


def test_half_of_the_images_are_mirrored():
    x = torch.rand(400, 2, 2, 3)
    flipped = (mirrored(x, Stream("key")) == x.flip(3)).flatten(1).all(1)
    assert 0.4 < flipped.float().mean() < 0.6
    assert torch.equal(mirrored(x, Stream("key"))[~flipped], x[~flipped])


# ─ rotations ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def images(n=64):
    x = torch.rand(n, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    return Batch(x, torch.arange(n) % 3, torch.arange(n))


def lesson_of(recipe, batch, rng=None):
    return recipe.prepare(nn.Identity(), batch, 0.5, rng or Stream("key"))


def test_each_image_has_its_own_angle_within_the_range(monkeypatch):
    seen = []

    def watched(x, degrees, **how):
        seen.append((degrees, how))
        return rotate(x, degrees, **how)

    monkeypatch.setattr("invspec.training.loop.rotate", watched)
    prepared = lesson_of(
        Standard(max_degrees=30, interpolation="nearest", fill="reflect"), images(1000)
    )
    ((degrees, how),) = seen
    assert prepared.x.shape == (1000, 1, 8, 8)
    assert how == {"interpolation": "nearest", "fill": "reflect"}
    assert degrees.unique().numel() > 990
    assert -30 <= degrees.min() < -28
    assert 28 < degrees.max() <= 30
    assert abs(degrees.mean()) < 2  # its standard error is 17 / sqrt(1000) = 0.55


def test_angles_are_drawn_anew_each_time():
    recipe, rng = make("defence", "rotation_augmentation", {}), Stream("key")
    first, second = (lesson_of(recipe, images(), rng) for _ in range(2))
    assert not torch.equal(first.x, second.x)
    assert torch.equal(first.y, images().y)


def test_what_is_switched_off_draws_nothing():
    rng, untouched = Stream("key"), Stream("key")
    assert torch.equal(lesson_of(Standard(), images(), rng).x, images().x)
    assert torch.equal(rng.uniform((3,)), untouched.uniform((3,)))


def test_images_are_cropped_then_mirrored_then_turned():
    rng, x = Stream("key"), images().x
    expected = mirrored(shifted(x, 2, rng), rng)
    expected = rotate(expected, 90 * (2 * rng.uniform((64,)) - 1))
    assert torch.equal(lesson_of(Standard(crop=2, flip=True, max_degrees=90), images()).x, expected)


def test_adversarial_training_attacks_the_turned_image():
    attack = PGD(eps=0.1, steps=1)
    turned = lesson_of(Standard(max_degrees=180), images())
    model = nn.Sequential(nn.Flatten(), nn.Linear(64, 3))
    prepared = AdversarialTraining(max_degrees=180, attack=attack).prepare(
        model, images(), 0.5, Stream("key")
    )
    moved = (prepared.x - turned.x).abs().amax()
    assert 0 < moved <= 0.1 + 1e-6


# ─ precision ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def convolutional():
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(
                nn.Conv2d(1, 4, 3),
                nn.BatchNorm2d(4),
                nn.ReLU(),
                nn.Flatten(),
                nn.Dropout(0.2),
                nn.Linear(144, 3),
            )
        )


def grey(n=48):
    """Class k is darker than class k + 1."""
    noise = torch.randint(0, 60, (n, 1, 8, 8), generator=torch.Generator().manual_seed(0))
    y = torch.arange(n) % 3
    return TensorSplit((noise + 60 * y.view(-1, 1, 1, 1)).to(torch.uint8), y)


LOW = AdversarialTraining(
    epochs=3,
    batch_size=16,
    lr=0.01,
    precision="bfloat16",
    max_degrees=20,
    attack=PGD(eps=0.02, steps=2),
)


def test_bfloat16_is_inside_the_model_alone():
    class Watching(nn.Linear):
        def forward(self, input):
            logits = super().forward(input)
            seen.append((input.dtype, logits.dtype))
            return logits

    seen = []
    model = nn.Sequential(nn.Flatten(), Watching(64, 3))
    fit(LOW.model_copy(update={"epochs": 1}), grey(), model)
    logits = InPrecision(model, "bfloat16")(torch.rand(2, 1, 8, 8))
    assert {kept.dtype for kept in model.parameters()} == {torch.float32}
    assert len(seen) == 3 * (2 + 1) + 1  # three updates, each after two steps of the attack
    assert {found for _, found in seen} == {torch.bfloat16}
    assert logits.dtype == torch.float32


@pytest.mark.parametrize(
    "attack", [PPGD(steps=1), PGD(eps=0.02, steps=1)], ids=["needs_float32", "other"]
)
@pytest.mark.parametrize("recipe", ["alone", "of several"])
def test_delicate_inner_attacks_search_in_float32_and_others_in_the_precision_of_the_training(
    attack, recipe
):
    inside, seen = convolutional(), set()
    net = InPrecision(inside, "bfloat16").train()
    inside[2].register_forward_hook(lambda module, inputs, output: seen.add(output.dtype))
    defence = AdversarialTraining(attack=attack) if recipe == "alone" else AVG(attacks=(attack,))
    x = torch.rand(4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    defence.prepare(net, Batch(x, torch.tensor([0, 1, 2, 0]), torch.arange(4)), 0.5, Stream("key"))
    assert seen == {torch.float32 if attack.needs_float32 else torch.bfloat16}
    assert net.training
    assert net.model.training


def test_bfloat16_learns_nearly_what_float32_learns():
    low, whole = (
        weights(fit(LOW.model_copy(update={"precision": name}), grey(), convolutional()))
        for name in ("bfloat16", "float32")
    )
    start = weights(convolutional())
    assert not torch.equal(low, whole)
    assert (low - whole).norm() < 0.3 * (whole - start).norm()


class Keeping(Journal):
    def __init__(self):
        self.states = []

    def save(self, state):
        self.states.append(copy.deepcopy(state))  # the weights in it go on changing


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
def test_a_training_in_either_precision_goes_on_to_the_same_weights(precision):
    class Resumed(Journal):
        def resume(self):
            return journal.states[0]

    recipe, journal = LOW.model_copy(update={"precision": precision}), Keeping()
    whole, again = (fit(recipe, grey(), convolutional(), journal) for _ in range(2))
    resumed = fit(recipe, grey(), convolutional(), Resumed())
    assert torch.equal(weights(whole), weights(again))
    assert torch.equal(weights(whole), weights(resumed))


def test_what_a_model_offers_beside_logits_is_passed_on():
    model = StdCNN().build((1, 28, 28), 10)
    net = InPrecision(model, "bfloat16")
    assert torch.equal(net.pixel_std, model.pixel_std)
    with pytest.raises(AttributeError, match="encode"):
        _ = net.encode


def test_a_model_without_weights_cannot_be_trained():
    with pytest.raises(InvspecError, match="no weights to train"):
        fit(Standard(), model=nn.Flatten())


def test_a_bijection_is_encoded_in_the_precision_of_the_training():
    class Halves(nn.Linear):
        def encode(self, x):
            code = self(x.flatten(1))
            seen.append(code.dtype)
            return code[:, :1], code[:, 1:]

    seen = []
    semantic, nuisance = InPrecision(Halves(4, 4), "bfloat16").encode(torch.rand(2, 1, 2, 2))
    assert seen == [torch.bfloat16]
    assert (semantic.dtype, nuisance.dtype) == (torch.float32, torch.float32)


# ─ dequantisation, Adamax, auxiliaries ─────────────────────────────────────────────────────────────────────────────────


def test_dequantised_levels_fill_the_gaps_between_them():
    x = torch.tensor([0.0, 100 / 255, 1.0]).view(3, 1, 1, 1).expand(3, 1, 100, 100)
    filled = dequantised(x, Stream("key"))
    level = torch.tensor([0, 100, 255]).view(3, 1, 1, 1)
    assert torch.equal((256 * filled).floor(), level.expand_as(filled).float())
    within = (256 * filled - level).flatten(1)
    assert torch.allclose(
        within.mean(1), torch.tensor(0.5), atol=0.02
    )  # its standard error is 0.003
    assert torch.allclose(within.var(1), torch.tensor(1 / 12), atol=0.005)


def test_images_are_dequantised_last():
    rng, x = Stream("key"), images().x
    expected = dequantised(shifted(x, 2, rng), rng)
    assert torch.equal(lesson_of(Standard(crop=2, dequantise=True), images()).x, expected)


def test_adamax_takes_steps_of_the_learning_rate():
    data = TensorSplit(torch.ones(2, 1, 1, 1), torch.tensor([0, 0]))
    model = fit(Standard(epochs=1, batch_size=2, optimiser="adamax", lr=0.125), data)
    assert weights(model).tolist() == pytest.approx([0.125, -0.125, 0.125, -0.125], abs=1e-6)


class Tempered(Training):
    """Learns beside the model by what its logits are scaled, and tells it."""

    def auxiliary(self, model, data, rng):
        return nn.ParameterDict({"scale": torch.ones(())})

    def objective(self, net, auxiliary, prepared, rng):
        (scale,) = auxiliary.parameters()
        logits = scale * net(prepared.x)
        loss = nn.functional.cross_entropy(logits, prepared.y)
        return Objective(loss, logits, {"scale": scale})


def test_a_companion_learns_with_the_model_and_is_told_of():
    recipe = Tempered(epochs=3, batch_size=5, lr=0.5)
    curves = recipe.train(linear(), points(), Stream("key"), Journal())
    assert list(curves) == ["loss", "accuracy", "scale"]
    assert len(set(curves["scale"])) == 3


def test_a_killed_training_goes_on_with_its_companion():
    class Resumed(Journal):
        def resume(self):
            return journal.states[0]

    recipe, journal = Tempered(epochs=3, batch_size=5, lr=0.5), Keeping()
    whole = recipe.train(linear(), points(), Stream("key"), journal)
    assert recipe.train(linear(), points(), Stream("key"), Resumed()) == whole


def test_a_gradient_is_shortened_together_with_the_companions():
    class Pulled(Tempered):
        def objective(self, net, auxiliary, prepared, rng):
            (scale,) = auxiliary.parameters()
            loss = 3 * scale + 4 * net.model[1].bias[0]
            return Objective(loss, net(prepared.x))

    model = linear()
    fit(Pulled(epochs=1, batch_size=10, lr=0.5, momentum=0, max_gradient_norm=1), model=model)
    assert dict(model.named_parameters())["1.bias"][0].item() == pytest.approx(-0.5 * 4 / 5)
