"""LPIPS, Laidlaw's variant and pixel distances, where their values are known or bounded."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import get_args

import lpips
import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from features_toys import convolutional, images
from PIL import Image
from torch import Tensor

from invspec.errors import InvspecError
from invspec.layers.cifar_alexnet import RELUS, cifar_alexnet
from invspec.layers.standardise import CIFAR10_MEAN, CIFAR10_STD
from invspec.perceptual.backbones import Backbone, Outputs
from invspec.perceptual.distances import Distance, describe, distance, offline, weights_read
from invspec.perceptual.features import embedded

DISTANCES = get_args(Distance)
SLOW_IF_VGG = [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "lpips_vgg")) for name in DISTANCES
]
NET_OF = {
    "lpips_alex": "alex",
    "lpips_squeeze": "squeeze",
    "lpips_vgg": "vgg",
    "laidlaw_alex": "alex",
}


# ─ LPIPS ─


@pytest.mark.parametrize("name", ["alex", "squeeze", "vgg"])
def test_lpips_equals_that_of_the_package(
    name: str, stand_in: Callable[[str], lpips.LPIPS]
) -> None:
    x, other = images(3, side=40), images(3, side=40, seed=1)
    expected = stand_in(name)(x, other, normalize=True).flatten()
    torch.testing.assert_close(distance(f"lpips_{name}")(x, other), expected, rtol=1e-4, atol=1e-6)


def test_greyscale_is_repeated_and_28_pixels_become_34(
    random_weights: dict[str, lpips.LPIPS],
) -> None:
    x, other = images(3, 1, 28), images(3, 1, 28, seed=1)
    enlarged, others = (
        F.pad(2 * each - 1, (3, 3, 3, 3), value=-1).repeat(1, 3, 1, 1) for each in (x, other)
    )
    assert enlarged.shape[2:] == (34, 34)
    expected = random_weights["alex"](enlarged, others).flatten()
    torch.testing.assert_close(distance("lpips_alex")(x, other), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("name", ["lpips_alex", "laidlaw_alex", "laidlaw_self"])
@pytest.mark.usefixtures("random_weights")
def test_a_distance_is_0_for_equal_images_symmetric_and_has_a_gradient(name: str) -> None:
    between, x, other = distance(name, convolutional()), images(), images(seed=1)
    assert between(x, x).tolist() == [0] * 6
    torch.testing.assert_close(between(x, other), between(other, x))
    leaf = other.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(between(x, leaf).sum(), leaf)
    assert (gradient.flatten(1).norm(dim=1) > 0).all()
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(between(x, leaf).sum(), leaf)
    assert gradient.isfinite().all()


@pytest.mark.parametrize("name", SLOW_IF_VGG)
def test_a_distance_grows_with_the_noise(name: str, stand_in: Callable[[str], lpips.LPIPS]) -> None:
    if name == "laidlaw_alexnet_cifar":
        pytest.skip("no weights are at hand")
    if net := NET_OF.get(name):
        stand_in(net)
    between, x = distance(name, convolutional()), images(8)
    noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(2))
    means = [
        between(x, (x + deviation * noise).clamp(0, 1)).mean()
        for deviation in (0.01, 0.03, 0.1, 0.3)
    ]
    assert means == sorted(means)
    assert means[0] > 0


@pytest.mark.usefixtures("random_weights")
def test_the_distance_of_a_pair_does_not_depend_on_its_batch() -> None:
    x, other, between = images(11), images(11, seed=1), distance("lpips_alex")
    assert torch.equal(between(x, other)[:3], between(x[:3], other[:3]))


@pytest.mark.usefixtures("random_weights")
def test_two_channels_are_refused() -> None:
    with pytest.raises(InvspecError, match="1 or 3 channels, found 2"):
        distance("lpips_alex")(images(channels=2), images(channels=2))


@pytest.mark.usefixtures("no_weights")
def test_missing_weights_name_the_file_and_the_folder() -> None:
    with pytest.raises(
        InvspecError,
        match=r"cannot be downloaded.*\n.*INVSPEC_DATA.*alexnet_imagenet1k_v1_features.pth",
    ):
        distance("lpips_alex")(images(), images())
    with pytest.raises(
        InvspecError,
        match=r"no weights of alexnet_cifar.*\n.*INVSPEC_DATA.*alexnet_cifar.safetensors",
    ):
        distance("laidlaw_alexnet_cifar")(images(), images())


def test_the_features_of_a_whole_torchvision_net_are_used(
    random_weights: dict[str, lpips.LPIPS], tmp_path: Path
) -> None:
    path = tmp_path / "weights" / "squeezenet1_1_imagenet1k_v1_features.pth"
    features = torch.load(path, weights_only=True)
    whole = {f"features.{name}": tensor for name, tensor in features.items()} | {
        "classifier.1.bias": torch.zeros(9)
    }
    torch.save(whole, path)
    x, other = images(3), images(3, seed=1)
    expected = random_weights["squeeze"](x, other, normalize=True).flatten()
    torch.testing.assert_close(distance("lpips_squeeze")(x, other), expected, rtol=1e-4, atol=1e-6)


@pytest.mark.data
@pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA is not set")
@pytest.mark.parametrize(
    ("name", "p0", "p1"), [("alex", 0.721881, 0.137566), ("squeeze", 0.711048, 0.147902)]
)
def test_the_published_nets_give_the_known_distances(name: str, p0: float, p1: float) -> None:
    ref, *others = (example(each) for each in ("ref", "p0", "p1"))
    between = distance(f"lpips_{name}")
    assert between(ref, ref).item() == 0
    assert [between(ref, other).item() for other in others] == pytest.approx([p0, p1], abs=1e-3)


def example(name: str) -> Tensor:
    path = Path(os.environ["INVSPEC_DATA"]) / "lpips-example" / f"ex_{name}.png"
    return torch.from_numpy(np.array(Image.open(path).convert("RGB"))).permute(2, 0, 1)[None] / 255


# ─ Laidlaw's variant ─


def test_the_embedding_distance_obeys_the_triangle_inequality_and_its_bound() -> None:
    between = distance("laidlaw_self", convolutional())
    x, other, third = images(50), images(50, seed=1), images(50, seed=2)
    assert (between(x, third) <= between(x, other) + between(other, third) + 1e-6).all()
    assert between(x, other).max() <= 2 * 2**0.5


@pytest.mark.parametrize("training", [False, True])
def test_reading_features_changes_neither_mode_nor_weights(training: bool) -> None:
    net, x = convolutional().train(training), images().requires_grad_()
    torch.autograd.grad(distance("laidlaw_self", net)(x, images(seed=1)).sum(), x)
    assert net.training is training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())


def test_the_features_of_a_reference_are_computed_once() -> None:
    asked: list[int] = []
    net, x = convolutional(), images()
    net.register_forward_hook(lambda *_: asked.append(1))
    between = distance("laidlaw_self", net)
    from_x = between.around(x)
    expected = between(images(seed=1), x)
    asked.clear()
    assert torch.equal(from_x(images(seed=1)), expected)
    assert len(asked) == 1


def test_exported_weights_of_the_cifar_alexnet_are_read(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    layers = cifar_alexnet(3)
    state = {f"net.features.{name}": tensor for name, tensor in layers.state_dict().items()} | {
        "other": torch.zeros(1)
    }
    (tmp_path / "weights").mkdir()
    safetensors.torch.save_file(state, tmp_path / "weights" / "alexnet_cifar.safetensors")
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    own = Backbone(Outputs(layers, RELUS), CIFAR10_MEAN, CIFAR10_STD)
    x, other = images(), images(seed=1)
    expected = (embedded(own(x)) - embedded(own(other))).norm(dim=1)
    assert len(own(x)) == 5
    torch.testing.assert_close(distance("laidlaw_alexnet_cifar")(x, other), expected)


def test_only_the_users_own_weights_are_reported_by_digest(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    file = tmp_path / "weights" / "alexnet_cifar.safetensors"
    file.parent.mkdir()
    for content in (b"once", b"again, and longer"):
        file.write_bytes(content)
        assert weights_read("laidlaw_alexnet_cifar") == {
            "alexnet_cifar": hashlib.sha256(content).hexdigest()
        }
    assert [name for name in DISTANCES if weights_read(name)] == ["laidlaw_alexnet_cifar"]
    file.unlink()
    with pytest.raises(InvspecError, match="no weights of alexnet_cifar"):
        weights_read("laidlaw_alexnet_cifar")


# ─ pixels and names ─


def test_pixel_distances_have_closed_forms() -> None:
    x, other = torch.zeros(1, 1, 2, 2), torch.tensor([0.3, 0.0, 0.4, 0.0]).view(1, 1, 2, 2)
    found = [distance(name)(x, other).item() for name in ("l2", "linf", "rmse")]
    assert found == pytest.approx([0.5, 0.4, 0.25])


@pytest.mark.parametrize("name", DISTANCES)
def test_every_distance_has_a_label_and_an_offline_substitute(name: str) -> None:
    assert describe(name)
    assert offline(name) == (
        name if name in ("laidlaw_self", "l2", "linf", "rmse", "ssim") else "laidlaw_self"
    )


def test_labels_are_distinct() -> None:
    assert len({describe(name) for name in DISTANCES}) == len(DISTANCES)
