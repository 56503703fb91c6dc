"""What attacks and nets promise is verified for every batch, and the refusal says what broke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar

import numpy as np
import pytest
import torch
from pydantic import Field
from torch import Tensor, nn
from workbench import Memory, perturb, toys, train

from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.kinds import Attack, Model
from invspec.models.linear import Linear
from invspec.ops.draws import Draws
from invspec.ops.types import Norm, Shape
from invspec.perform.proxies import deployed
from invspec.perform.score import examples

Way = Callable[[nn.Module, Batch, Draws], Any]


class Mine(Attack):
    """Any attack."""

    ways: ClassVar[dict[str, Way]] = {}
    way: str = Field(default="mine")

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        x_adv = self.ways[self.way](model, batch, rng)
        if isinstance(x_adv, Perturbed):
            return x_adv
        return Perturbed.costing(x_adv, forwards=0, backwards=0)


class Radius(Mine):
    """Any attack within a ball."""

    eps: float = 0.1
    norm: Norm | str = "linf"


class Free(Mine):
    """Any attack that may leave the bounds."""

    leaves_bounds = True


class Keeping(Mine):
    """Any attack that says to keep its images."""

    keeps_images = True


def run(way: Way, attack: type[Mine] = Mine, **fields: Any) -> Memory:
    Mine.ways["mine"] = way
    deployed.cache_clear()
    runtime = Memory()
    runtime.load(perturb(attack(**fields)))
    return runtime


def refusal(way: Way, attack: type[Mine] = Mine, **fields: Any) -> str:
    with pytest.raises(InvspecError) as caught:
        run(way, attack, **fields)
    return str(caught.value)


# ─ images ─


def test_images_in_another_form_are_refused() -> None:
    def bytes_of(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        return (batch.x * 255).to(torch.uint8)

    assert "Mine (way" not in refusal(bytes_of)
    assert "Mine returned uint8 (8, 1, 4, 4), expected float32" in refusal(bytes_of)
    assert "returned float64" in refusal(lambda model, batch, rng: batch.x.double())
    assert "returned float32 (7, 1, 4, 4)" in refusal(lambda model, batch, rng: batch.x[:7])
    assert "x_adv of Mine is a ndarray" in refusal(
        lambda model, batch, rng: Perturbed(batch.x.numpy(), batch.y, batch.y)
    )


def one_pixel(value: float) -> Way:
    """The fourth image gets a pixel of this value."""

    def way(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        x_adv = batch.x.clone()
        x_adv[3, 0, 1, 1] = value
        return x_adv

    return way


@pytest.mark.parametrize("value", [-0.01, 1.01, 300.0])
def test_pixels_out_of_bounds_are_refused_and_counted(value: float) -> None:
    message = refusal(one_pixel(value))
    assert "for 1 of 8 images of Fake" in message
    assert "expected 0 to 1; image 3 is the first\nhint: end with x_adv.clamp" in message
    run(one_pixel(value), Free)


def test_pixels_that_are_not_finite_are_refused_even_where_bounds_may_be_left() -> None:
    for value in (torch.nan, torch.inf):
        for attack in (Mine, Free):
            assert "pixels that are not finite for 1 of 8" in refusal(one_pixel(value), attack)


def moved_by(length: float) -> Way:
    """Move towards grey by this length in linf."""

    def way(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        return batch.x + length * (0.5 - batch.x).sign()

    return way


def test_images_outside_of_the_ball_are_refused() -> None:
    run(moved_by(0.1), Radius)
    run(moved_by(0.1 * (1 + 1e-6)), Radius)
    message = refusal(moved_by(0.101), Radius)
    assert "Radius moved 8 of 8 images" in message
    assert "by up to 0.101, expected at most eps 0.1 in linf" in message


@pytest.mark.parametrize(("norm", "size"), [("l2", 4.0), ("l1", 16.0), ("l0", 16.0)])
def test_the_ball_is_that_of_the_attacks_norm(norm: str, size: float) -> None:
    scale = 1 if norm == "l0" else 0.1
    run(moved_by(0.1), Radius, norm=norm, eps=size * scale)
    assert f"in {norm}" in refusal(moved_by(0.1), Radius, norm=norm, eps=0.9 * size * scale)


def test_a_norm_that_is_not_known_is_not_checked() -> None:
    columns = [
        artifact.tensors for artifact in run(moved_by(0.4), Radius, norm="lpips").kept.values()
    ]
    (moved,) = (tensors["linf"] for tensors in columns if "linf" in tensors)
    # four times the eps of the attack
    assert moved.allclose(torch.tensor(0.4))


# ─ what an attack was given ─


def test_an_attack_that_changes_its_batch_in_place_is_refused() -> None:
    def images(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        return batch.x.mul_(0.5)

    def labels(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        batch.y.fill_(0)
        return batch.x

    for way in (images, labels):
        assert "Mine changed the images or labels of its batch in place" in refusal(way)


def test_an_attack_that_changes_the_net_is_refused_and_the_next_one_gets_another() -> None:
    def shrink(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
        for weight in model.parameters():
            weight.data.mul_(0.5)
        return batch.x

    Mine.ways["shrink"] = shrink
    deployed.cache_clear()
    runtime, good = Memory(), perturb(toys.Ascent())
    expected = runtime.load(good).tensors["x_adv"]
    with pytest.raises(InvspecError, match=r"^Mine \(way shrink\) changed the net .*weight"):
        runtime.load(perturb(Mine(way="shrink")))
    runtime.kept.pop(good)
    assert torch.equal(runtime.load(good).tensors["x_adv"], expected)


@pytest.mark.parametrize(
    "costs",
    [
        lambda batch: (3, 2),
        lambda batch: (torch.tensor(3), torch.tensor(2)),
        lambda batch: (torch.ones(len(batch)), torch.ones(len(batch))),
        lambda batch: (batch.y[:3], batch.y[:3]),
    ],
    ids=["numbers", "scalars", "floats", "too few"],
)
def test_costs_must_be_whole_numbers_for_every_image(costs: Callable[[Batch], Any]) -> None:
    message = refusal(lambda model, batch, rng: Perturbed(batch.x, *costs(batch)))
    assert "forwards of Mine is " in message
    assert "expected int64 (8,)" in message


# ─ paths and unrounded images ─


class Walk(Mine):
    """Any attack that keeps a path of at most three images."""

    @property
    def path_vertices(self) -> int:
        return 3


def walked(batch: Batch, path: object) -> Perturbed:
    return replace(Perturbed.costing(batch.x, forwards=0, backwards=0), path=path)


@pytest.mark.parametrize(
    ("path", "found"),
    [
        (lambda x: x, "float32 (8, 1, 4, 4), expected float32 (8, 8, 1, 4, 4)"),
        (lambda x: torch.stack([x, x], dim=1), "float32 (8, 2, 1, 4, 4), expected float32 (8, 8, "),
        (lambda x: torch.stack([x, x])[:, :5], "float32 (2, 5, 1, 4, 4), expected float32 (2, 8, "),
        (lambda x: torch.stack([x, x]).double(), "float64 (2, 8, 1, 4, 4), expected float32 (2, "),
        (lambda x: x[:0, None], "float32 (0, 1, 1, 4, 4), expected float32 (1, 8, 1, 4, 4)"),
        (lambda x: [x, x], "a list, expected float32 (1, 8, 1, 4, 4)"),
    ],
    ids=["one", "images first", "few", "dtype", "empty", "list"],
)
def test_a_path_in_another_form_is_refused(path: Callable[[Tensor], object], found: str) -> None:
    message = refusal(lambda model, batch, rng: walked(batch, path(batch.x)), Walk)
    assert f"path of Walk is {found}" in message
    assert "hint: the vertices of a path come first" in message


@pytest.mark.parametrize("field", ["ran_out", "start_refused"])
def test_what_became_of_walks_is_true_or_false_of_each(field: str) -> None:
    def numbers(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return replace(walked(batch, None), **{field: batch.y})

    message = refusal(numbers)
    assert f"{field} of Mine is int64 (8,), expected bool (8,)" in message


def test_a_path_has_no_more_vertices_than_the_attack_says() -> None:
    def way(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return walked(batch, batch.x.expand(3, *batch.x.shape))

    run(way, Walk)
    assert "path of Mine has 3 vertices, but path_vertices says 0" in refusal(way)


def test_a_path_has_the_same_vertices_in_every_batch() -> None:
    def longer(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        count = 2 if int(batch.index[0]) == 0 else 3
        return walked(batch, batch.x.expand(count, *batch.x.shape))

    def missing(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        first = int(batch.index[0]) == 0
        return walked(batch, batch.x.expand(2, *batch.x.shape) if first else None)

    start = "path of Walk differs from batch to batch: for one image, found "
    assert f"{start}(2, 1, 4, 4) and (3, 1, 4, 4)" in refusal(longer, Walk)
    assert f"{start}(2, 1, 4, 4) and none" in refusal(missing, Walk)


def test_a_path_has_the_same_vertices_in_every_part() -> None:
    def longer(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        count = 2 if int(batch.index[0]) < 4 else 3
        return walked(batch, batch.x.expand(count, *batch.x.shape))

    Mine.ways["longer"] = longer
    runtime = Memory(batch_size=4)
    parts = [perturb(Walk(way="longer"), part=part) for part in ((0, 4), (4, 8))]
    for part in parts:
        runtime.load(part)
    start = "path of Walk (way longer) differs from part to part: for one image, found "
    with pytest.raises(InvspecError) as error:
        examples(tuple(parts), runtime)
    assert f"{start}(2, 1, 4, 4) and (3, 1, 4, 4)" in str(error.value)


@pytest.mark.parametrize(
    ("exact", "found"),
    [
        (lambda x: x, "float32 (8, 1, 4, 4)"),
        (lambda x: x[:3].double(), "float64 (3, 1, 4, 4)"),
        (lambda x: x.numpy(), "a ndarray"),
    ],
    ids=["dtype", "few", "array"],
)
def test_unrounded_images_in_another_form_are_refused(
    exact: Callable[[Tensor], object], found: str
) -> None:
    def way(model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        return replace(walked(batch, None), exact=exact(batch.x))

    assert f"exact of Mine is {found}, expected float64 (8, 1, 4, 4)" in refusal(way)


# ─ global generators ─


def jitter(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
    return batch.x * torch.rand(len(batch.x), 1, 1, 1)


def test_draws_from_global_generators_repeat_and_are_told_of() -> None:
    states = torch.get_rng_state()
    first, second = (run(jitter) for _ in range(2))
    (task,) = (task for task in first.kept if "Perturb" in type(task).__name__)
    assert torch.equal(first.kept[task].tensors["x_adv"], second.kept[task].tensors["x_adv"])
    assert torch.equal(torch.get_rng_state(), states)
    assert "Mine draws from the global generator of torch" in first.warnings[0]
    assert "--batch-size" in first.warnings[0]


def test_draws_of_rng_are_not_told_of() -> None:
    way: Way = lambda model, batch, rng: batch.x * rng.uniform((len(batch.x), 1, 1, 1))  # noqa: E731
    assert run(way).warnings == []


# ─ repetition ─


def from_the_system(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
    private = np.random.default_rng()
    return batch.x * torch.from_numpy(private.random((len(batch.x), 1, 1, 1), dtype="float32"))


def with_its_neighbours(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
    return batch.x * len(batch.x) / 100


def in_the_next_row(model: nn.Module, batch: Batch, rng: Draws) -> Tensor:
    return (batch.x + batch.x.roll(1, 0)) / 2


@pytest.mark.parametrize("way", [from_the_system, with_its_neighbours, in_the_next_row])
def test_an_attack_that_does_not_repeat_is_told_of(way: Way) -> None:
    (warning,) = run(way).warnings
    assert warning.startswith("Mine does not repeat: run again, it gives other pixels for ")
    assert " of 4 images, by up to " in warning
    assert "draw from rng alone" in warning


# ─ nets ─


class Bent(nn.Module):
    """A linear net, and something done to its logits."""

    def __init__(self, net: nn.Module, bend: Callable[[Tensor, Tensor], Any]) -> None:
        super().__init__()
        self.net, self.bend = net, bend

    def forward(self, x: Tensor) -> Any:
        return self.bend(self.net(x), x)


class Bends(Model):
    """A linear net that may be bent once it is deployed."""

    bends: ClassVar[dict[str, Callable[[Tensor, Tensor], Any]]] = {}

    def build(self, shape: Shape, classes: int) -> nn.Module:
        return Linear().build(shape, classes)

    def deploy(self, net: nn.Module) -> nn.Module:
        return super().deploy(Bent(net, self.bends["now"]))


def judged(bend: Callable[[Tensor, Tensor], Any], attack: Attack | None = None) -> Memory:
    Bends.bends["now"] = lambda logits, x: logits
    runtime, net = Memory(), train(model=Bends())
    runtime.load(net)
    Bends.bends["now"] = bend
    deployed.cache_clear()
    runtime.load(perturb(attack or toys.Shift(by=0.0), net))
    return runtime


def bad(bend: Callable[[Tensor, Tensor], Any], attack: Attack | None = None) -> str:
    with pytest.raises(InvspecError) as caught:
        judged(bend, attack)
    return str(caught.value)


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf])
def test_logits_that_are_not_finite_are_refused_with_net_data_and_number(value: float) -> None:
    message = bad(lambda logits, x: torch.where(x[:, 0, 0, :1] > 0.5, value, logits))
    assert message.startswith("net Bends gives logits that are not finite (NaN or infinite) on ")
    assert " of 8 clean images of Fake (" in message
    assert "is the first" in message


def test_logits_that_are_not_finite_on_attacked_images_alone_are_refused() -> None:
    def grid(logits: Tensor, x: Tensor) -> Tensor:
        off = ((x * 255).round() - x * 255).abs().flatten(1).amax(1, keepdim=True) > 1e-2
        return torch.where(off, torch.nan, logits)

    judged(grid)
    assert "on 8 of 8 attacked images of Fake" in bad(grid, toys.Shift(by=0.1234))


@pytest.mark.parametrize(
    ("bend", "found"),
    [
        (lambda logits, x: (logits, x), "net Bends returns a tuple, expected logits"),
        (lambda logits, x: {"logits": logits}, "net Bends returns a dict, expected logits"),
        (lambda logits, x: logits[:, :2], "net Bends returned float32 (8, 2)"),
        (
            lambda logits, x: logits.argmax(1, keepdim=True).expand(-1, 3),
            "net Bends returned int64 (8, 3) for 8 images of Fake",
        ),
        (lambda logits, x: logits[..., None], "returned float32 (8, 3, 1)"),
    ],
    ids=["tuple", "dict", "few", "classes", "deep"],
)
def test_what_is_no_matrix_of_logits_is_refused(
    bend: Callable[[Tensor, Tensor], Any], found: str
) -> None:
    assert found in bad(bend)


@pytest.mark.parametrize("scale", [1e-6, 1e-9, 1e6])
def test_labels_are_those_of_the_logits_where_the_softmax_rounds_them_away(scale: float) -> None:
    plain, scaled = (
        judged(bend, toys.Shift(by=0.4)) for bend in (lambda z, x: z, lambda z, x: z * scale)
    )
    first, second = (list(runtime.kept.values())[-1].tensors for runtime in (plain, scaled))
    for column in ("prediction", "prediction_adv"):
        assert torch.equal(first[column], second[column])
    assert len(first["prediction"].unique()) > 1


def test_a_net_with_a_flaw_is_refused_by_name() -> None:
    assert "net Bends changes its images in place" in bad(lambda z, x: z + 0 * x.mul_(0.5).sum())
    assert "net Bends gives the same image other logits in another batch" in bad(
        lambda z, x: z - z.mean(0)
    )


def test_a_net_that_draws_is_judged_and_told_of() -> None:
    runtimes = [judged(lambda z, x: z + torch.randn_like(z), toys.Ascent()) for _ in range(2)]
    first, second = (list(runtime.kept.values())[-1].tensors for runtime in runtimes)
    assert all(torch.equal(first[name], second[name]) for name in first)
    (warning,) = runtimes[0].warnings
    assert warning.startswith("net Bends draws random numbers (torch)")


def test_data_that_leave_their_bounds_are_refused_when_they_are_attacked() -> None:
    from invspec.perform.promises import Subject, require_images

    batch = Batch(torch.rand(4, 1, 2, 2), torch.zeros(4), torch.arange(4))
    require_images(batch, Subject("Net", "Data", 2))
    with pytest.raises(InvspecError, match=r"^Data: pixels run from "):
        require_images(replace(batch, x=batch.x + 1), Subject("Net", "Data", 2))


def test_an_attack_that_says_to_keep_its_images_and_changes_them_is_refused() -> None:
    assert "which it said to keep" in refusal(moved_by(0.1), Keeping)
