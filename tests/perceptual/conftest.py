"""Weights of backbones: none, or random ones in place of those published."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import lpips
import pytest
import torch
from torchvision.models.vgg import cfgs, make_layers

from invspec.perceptual import weights
from invspec.perceptual.backbones import backbone

VGG16 = cfgs["D"]


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
