"""Weights behind LPIPS: which fit, and which were published."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import lpips
import pytest
import torch
from features_toys import images
from torch import nn

from invspec.errors import InvspecError
from invspec.perceptual import weights
from invspec.perceptual.backbones import backbone
from invspec.perceptual.distances import distance

KNOWN = dict(weights.PUBLISHED)


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


@pytest.mark.parametrize("name", ["alex", "squeeze"])
def test_weights_that_were_not_published_are_refused(
    name: str, random_weights: dict[str, lpips.LPIPS], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(weights.PUBLISHED, name, KNOWN[name])
    with pytest.raises(InvspecError, match=r"differs from torchvision's .*IMAGENET1K_V1"):
        distance(f"lpips_{name}")(images(), images())


def on_meta() -> nn.Sequential:
    with torch.device("meta"):
        return nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1))


def test_layers_without_numbers_get_those_of_the_file_in_float32() -> None:
    source = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).double()
    state = {f"net.{name}": tensor for name, tensor in source.state_dict().items()}
    layers = on_meta()
    weights.fill(
        layers, {**state, "other": torch.ones(1)}, Path("a.pth"), lambda name: f"net.{name}"
    )
    for name, tensor in layers.state_dict().items():
        assert (tensor.dtype, tensor.device.type) == (torch.float32, "cpu")
        assert torch.equal(tensor, state[f"net.{name}"].float())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"2.bias": torch.ones(2)}, "2.bias has shape (2,), expected shape (1,)"),
        ({"2.bias": None}, "2.bias has no tensor, expected shape (1,)"),
    ],
)
def test_the_first_tensor_that_does_not_fit_is_named(changes: dict[str, Any], message: str) -> None:
    state = nn.Sequential(nn.Linear(2, 3), nn.ReLU(), nn.Linear(3, 1)).state_dict()
    layers = on_meta()
    with pytest.raises(InvspecError) as problem:
        weights.fill(layers, {**state, **changes}, Path("a.pth"), lambda name: name)
    assert problem.value.message == f"a.pth does not fit the net: {message}"
    assert all(tensor.is_meta for tensor in layers.state_dict().values())


def test_a_state_dict_is_a_dict(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    torch.save({"a": torch.ones(2)}, path)
    assert torch.equal(weights.state_dict(path)["a"], torch.ones(2))
    torch.save([torch.ones(2)], path)
    with pytest.raises(InvspecError, match=r"a\.pth holds a list, expected a state dict"):
        weights.state_dict(path)


def test_only_the_cifar_net_is_a_file_of_the_user(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    for name in weights.PUBLISHED:
        assert weights.own_files(name) == {}  # pyright: ignore[reportArgumentType]
    with pytest.raises(InvspecError, match="no weights of alexnet_cifar found; none are published"):
        weights.own_files("alexnet_cifar")
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights" / "alexnet_cifar.pth").write_bytes(b"content")
    digest = hashlib.sha256(b"content").hexdigest()
    assert weights.own_files("alexnet_cifar") == {"alexnet_cifar": digest}
