"""LPIPS, Laidlaw's variant and pixel distances, where their values are known or bounded."""

from __future__ import annotations

import hashlib
import os
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import get_args

import lpips
import numpy as np
import pytest
import safetensors.torch
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn
from torchvision.models.vgg import cfgs, make_layers

from invspec.errors import InvspecError
from invspec.layers.cifar_alexnet import RELUS, cifar_alexnet
from invspec.layers.standardise import CIFAR10_MEAN, CIFAR10_STD
from invspec.perceptual import weights
from invspec.perceptual.backbones import Backbone, Outputs, backbone
from invspec.perceptual.distances import Distance, describe, distance, offline, weights_read
from invspec.perceptual.features import embedded, own_features

DISTANCES = get_args(Distance)
VGG16 = cfgs["D"]
SLOW_IF_VGG = [
    pytest.param(name, marks=[pytest.mark.slow] * (name == "lpips_vgg")) for name in DISTANCES
]
NET_OF = {
    "lpips_alex": "alex",
    "lpips_squeeze": "squeeze",
    "lpips_vgg": "vgg",
    "laidlaw_alex": "alex",
}
KNOWN = dict(weights.PUBLISHED)


def images(n: int = 6, channels: int = 3, side: int = 32, seed: int = 0) -> Tensor:
    return torch.rand(n, channels, side, side, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(autouse=True)
def _forget() -> Iterator[None]:
    """Forget the nets that other tests loaded."""
    backbone.cache_clear()
    yield
    backbone.cache_clear()


@pytest.fixture
def no_weights(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Without files of the user and without network."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    monkeypatch.setattr(torch.hub, "download_url_to_file", offline_download)


def offline_download(*_: object, **__: object) -> None:
    raise OSError("Name or service not known")


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[[str], lpips.LPIPS]:
    """Put random weights into INVSPEC_DATA as if published; returns lpips' own net with them."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()

    def put(name: str) -> lpips.LPIPS:
        monkeypatch.setitem(weights.PUBLISHED, name, replace(weights.PUBLISHED[name], sha256=None))
        net = random_net(name)
        state = {key.partition(".")[2]: value for key, value in net.net.state_dict().items()}
        torch.save(state, tmp_path / "weights" / f"{weights.PUBLISHED[name].file}.pth")
        return net

    return put


@cache
def random_net(name: str) -> lpips.LPIPS:
    """lpips' net with random weights; VGG's linear layers, which it would discard, are not made."""
    with (
        torch.random.fork_rng(devices=[]),
        warnings.catch_warnings(),
        pytest.MonkeyPatch.context() as patched,
    ):
        warnings.simplefilter("ignore")
        patched.setattr(
            lpips.pretrained_networks.tv,
            "vgg16",
            lambda **_: SimpleNamespace(features=make_layers(VGG16)),
        )
        torch.manual_seed(0)
        return lpips.LPIPS(net=name, pnet_rand=True, verbose=False)


@pytest.fixture
def random_weights(stand_in: Callable[[str], lpips.LPIPS]) -> dict[str, lpips.LPIPS]:
    """The two small nets."""
    return {name: stand_in(name) for name in ("alex", "squeeze")}


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
def test_a_backbone_is_loaded_once_and_has_no_gradients() -> None:
    first = backbone("alex", torch.device("cpu"))
    assert backbone("alex", torch.device("cpu")) is first
    assert not first.training
    assert not any(weight.requires_grad for weight in first.parameters())
    assert {weight.dtype for weight in first.parameters()} == {torch.float32}


@pytest.mark.usefixtures("random_weights")
def test_loading_a_backbone_draws_no_global_random_numbers() -> None:
    before = torch.get_rng_state()
    backbone("alex", torch.device("cpu"))
    assert torch.equal(before, torch.get_rng_state())


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


def test_weights_of_another_net_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    torch.save(
        {"0.weight": torch.zeros(3)}, tmp_path / "weights" / "alexnet_imagenet1k_v1_features.pth"
    )
    with pytest.raises(InvspecError, match=r"does not fit the net: 0.weight has shape"):
        backbone("alex", torch.device("cpu"))


@pytest.mark.parametrize(
    "content", [[torch.zeros(3)], {"0.weight": 3}, torch.zeros(3)], ids=["list", "int", "tensor"]
)
def test_a_file_without_a_state_dict_is_refused(
    content: object, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    (tmp_path / "weights").mkdir()
    torch.save(content, tmp_path / "weights" / "alexnet_imagenet1k_v1_features.pth")
    with pytest.raises(
        InvspecError, match=r"expected a state dict|does not fit the net: 0.weight has no tensor"
    ):
        backbone("alex", torch.device("cpu"))


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


@pytest.mark.parametrize("name", ["alex", "squeeze"])
def test_weights_that_were_not_published_are_refused(
    name: str, random_weights: dict[str, lpips.LPIPS], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.PUBLISHED, name, KNOWN[name])
    with pytest.raises(InvspecError, match=r"other weights than torchvision's .*IMAGENET1K_V1"):
        distance(f"lpips_{name}")(images(), images())


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


def convolutional() -> nn.Sequential:
    """Two maps of different shape, then a hidden linear layer."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return nn.Sequential(
            *(nn.Conv2d(3, 8, 3, stride=2), nn.ReLU(), nn.Conv2d(8, 12, 3, stride=2), nn.ReLU()),
            *(nn.Flatten(), nn.Linear(12 * 49, 16), nn.ReLU(), nn.Linear(16, 4)),
        ).eval()


class Functional(nn.Module):
    """The same net with activations called as functions."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = convolutional()

    def forward(self, x: Tensor) -> Tensor:
        first, _, second, _, flatten, third, _, fourth = self.layers
        return fourth(third(flatten(F.relu(second(first(x).relu())))).relu_())


def test_the_embedding_distance_follows_its_formula() -> None:
    a, b = torch.tensor([[3.0, 4.0]]).view(1, 2, 1, 1), torch.tensor([[1.0, 0.0]]).view(1, 2, 1, 1)
    maps, others = [a.expand(1, 2, 5, 7), a], [b.expand(1, 2, 5, 7), a]
    found = (embedded(maps) - embedded(others)).norm().item()
    assert found == pytest.approx(((0.6 - 1) ** 2 + 0.8**2) ** 0.5, abs=1e-6)


def test_the_embedding_distance_obeys_the_triangle_inequality_and_its_bound() -> None:
    between = distance("laidlaw_self", convolutional())
    x, other, third = images(50), images(50, seed=1), images(50, seed=2)
    assert (between(x, third) <= between(x, other) + between(other, third) + 1e-6).all()
    assert between(x, other).max() <= 2 * 2**0.5


def test_the_features_of_a_model_are_its_last_maps_of_each_shape() -> None:
    net, x = convolutional(), images()
    first = net[:2](x)
    expected = embedded([first, net[2:4](first)])
    logits, features = own_features(net, x)
    assert torch.equal(logits, net(x))
    torch.testing.assert_close(features, expected)
    block = nn.Sequential(nn.Conv2d(3, 3, 1), nn.ReLU(), nn.Conv2d(3, 3, 1), nn.ReLU())
    torch.testing.assert_close(own_features(block, x)[1], embedded([block(x)]))


def test_activations_called_as_functions_count_as_well() -> None:
    x = images()
    torch.testing.assert_close(
        own_features(Functional(), x)[1], own_features(convolutional(), x)[1]
    )


class Listed(nn.Module):
    """A net that lists its feature layers."""

    def __init__(self) -> None:
        super().__init__()
        self.net = convolutional()
        self.feature_layers = (self.net[0],)

    def forward(self, x: Tensor) -> Tensor:
        return self.net(x)


def test_a_model_may_list_its_feature_layers() -> None:
    net, x = Listed(), images()
    logits, features = own_features(nn.Sequential(net), x)
    assert torch.equal(logits, net(x))
    torch.testing.assert_close(features, embedded([net.net[0](x)]))
    assert not net.net[0]._forward_hooks


class Padded(nn.Module):
    """Pads batches, as invspec.perform does."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net(torch.cat([x, x[-1:].expand(-len(x) % 8, *x.shape[1:])]))[: len(x)]


def test_features_pass_through_a_wrapper_that_pads_batches() -> None:
    net, x = convolutional(), images(5)
    torch.testing.assert_close(own_features(Padded(net), x)[1], own_features(net, x)[1])


class LowPrecision(nn.Module):
    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        with torch.autocast("cpu", torch.bfloat16):
            return self.net(x).float()


def test_features_of_a_low_precision_are_compared_in_float32() -> None:
    net, x = convolutional(), images(5)
    features, exact = own_features(LowPrecision(net), x)[1], own_features(net, x)[1]
    assert features.dtype == torch.float32
    assert (features - exact).norm(dim=1).max() < 0.1  # of 2 sqrt(2) at most; bfloat16 has 8 bits


@pytest.mark.parametrize("training", [False, True])
def test_reading_features_changes_neither_mode_nor_weights(training: bool) -> None:
    net, x = convolutional().train(training), images().requires_grad_()
    torch.autograd.grad(distance("laidlaw_self", net)(x, images(seed=1)).sum(), x)
    assert net.training is training
    assert all(weight.requires_grad and weight.grad is None for weight in net.parameters())


def test_a_flat_net_is_compared_by_its_flat_activations() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(12, 5), nn.ReLU(), nn.Linear(5, 2))
    x = images(4, 3, 2)
    hidden = net[:3](x)
    torch.testing.assert_close(own_features(net, x)[1], F.normalize(hidden, dim=1, eps=1e-10))


def test_a_linear_net_is_refused() -> None:
    with pytest.raises(InvspecError, match="no activations"):
        own_features(nn.Sequential(nn.Flatten(), nn.Linear(12, 5)), images(4, 3, 2))


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
