"""torchvision's published weights: found, loaded and refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torchvision import models
from workbench import call

from invspec.data import Journal, TensorSplit
from invspec.defences import torchvision_weights
from invspec.defences.pretrained import Pretrained
from invspec.defences.torchvision_weights import TorchvisionWeights, published
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.models.linear import Linear
from invspec.models.torchvision_model import TorchvisionModel
from invspec.ops.draws import Stream

RGB = (3, 32, 32)
DATA = TensorSplit(torch.zeros(1, *RGB), torch.zeros(1, dtype=torch.int64))


def train(defence: Any, net: nn.Module) -> nn.Module:
    assert defence.train(net, DATA, Stream("key"), Journal()) == {}
    return net


def small(seed: int = 0, classes: int = 1000) -> nn.Module:
    torch.manual_seed(seed)
    return TorchvisionModel(arch="shufflenet_v2_x0_5").build(RGB, classes)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(weight.equal(other.state_dict()[name]) for name, weight in one.state_dict().items())


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file named after its digest, as torchvision's are, with empty folders to put it in."""
    theirs: Any = small(1)
    torch.save(theirs.net.state_dict(), tmp_path / "weights.pth")
    digest = hashlib.sha256((tmp_path / "weights.pth").read_bytes()).hexdigest()
    path = (tmp_path / "weights.pth").rename(tmp_path / f"shufflenetv2_x0.5-{digest[:8]}.pth")
    monkeypatch.setattr(
        torchvision_weights, "published", lambda arch, weights: f"https://invalid/{path.name}"
    )
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    (tmp_path / "data" / "weights").mkdir(parents=True)
    (tmp_path / "hub" / "hub" / "checkpoints").mkdir(parents=True)
    return path


@pytest.mark.parametrize("folder", ["data/weights", "hub/hub/checkpoints"])
def test_weights_on_this_machine_are_loaded_without_a_download(
    folder: str, web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        torch.hub, "download_url_to_file", lambda *_, **__: pytest.fail("downloaded")
    )
    web.rename(web.parent / folder / web.name)
    assert same(small(1), train(TorchvisionWeights(), small(2)))


def test_missing_weights_are_downloaded_to_torchs_cache(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[str, str]] = []

    def fetch(url: str, to: str, hash_prefix: str, progress: bool) -> None:
        asked.append((url, hash_prefix))
        Path(to).write_bytes(web.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    for _ in range(2):
        assert same(small(1), train(TorchvisionWeights(), small(2)))
    assert asked == [(f"https://invalid/{web.name}", web.stem[-8:])]


def test_without_a_network_one_message_says_where_to_put_the_file(
    web: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)
    with pytest.raises(InvspecError) as problem:
        train(TorchvisionWeights(), small())
    assert (
        problem.value.message
        == f"{web.name} is not on this machine and cannot be downloaded: no route to host"
    )
    assert (
        problem.value.hint
        == f"download https://invalid/{web.name} to the folder weights in INVSPEC_DATA"
    )


def test_a_file_of_that_name_with_other_content_is_refused(web: Path) -> None:
    torch.save(small(5).state_dict(), web.parent / "data" / "weights" / web.name)
    with pytest.raises(InvspecError, match="has other content: found SHA-256") as problem:
        train(TorchvisionWeights(), small())
    assert problem.value.hint == "delete it, so that it is downloaded again"


def test_weights_for_other_classes_are_refused(web: Path) -> None:
    web.rename(web.parent / "data" / "weights" / web.name)
    with pytest.raises(
        InvspecError, match=r"fc.weight: found \(1000, 1024\), the model has \(10, 1024\)"
    ):
        train(TorchvisionWeights(), small(classes=10))


def test_auxiliary_heads_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with torch.device("meta"):
        theirs: Any = models.googlenet(num_classes=2, aux_logits=True, init_weights=False)
    (tmp_path / "data" / "weights").mkdir(parents=True)
    path = tmp_path / "googlenet.pth"
    torch.save(
        {name: torch.full(w.shape, 0.5, dtype=w.dtype) for name, w in theirs.state_dict().items()},
        path,
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    named = path.rename(tmp_path / "data" / "weights" / f"googlenet-{digest[:8]}.pth")
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.setattr(
        torchvision_weights, "published", lambda arch, weights: f"https://invalid/{named.name}"
    )
    net = TorchvisionModel(arch="googlenet").sketch((3, 64, 64), 2).to_empty(device="cpu")
    train(TorchvisionWeights(), net)
    assert all((weight == 0.5).all() for weight in net.parameters())


def test_published_weights_are_known_by_name() -> None:
    url = published("vgg19", "IMAGENET1K_V1")
    assert url.endswith("/vgg19-dcbb9e9d.pth")
    with pytest.raises(
        InvspecError, match="torchvision has no weights IMAGENET1K_V2 for resnet18"
    ) as problem:
        published("resnet18", "IMAGENET1K_V2")
    assert problem.value.hint == "did you mean IMAGENET1K_V1? (known: IMAGENET1K_V1)"


def test_other_nets_have_no_published_weights() -> None:
    with pytest.raises(InvspecError, match="torchvision has weights only for its own nets"):
        train(TorchvisionWeights(), Linear().build(RGB, 10))


PUBLISHED = """\
title: weights of torchvision
datasets: {fake: {shape: [3, 32, 32], classes: 1000, train: 24, test: 20}}
models: {linear: {}, torchvision: {arch: shufflenet_v2_x0_5}}
defences: {torchvision_weights: {}}
attacks: {identity: {}}
measures: {accuracy: {of: identity}}
train: [{dataset: fake, model: MODEL, defence: torchvision_weights}]
"""


def test_validate_refuses_other_nets_and_unknown_weights(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PUBLISHED.replace("MODEL", "torchvision"))
    assert call("validate", path) == 0
    capsys.readouterr()
    path.write_text(PUBLISHED.replace("MODEL", "linear"))
    assert call("validate", path) == 2
    assert capsys.readouterr().err == (
        f"error: {path}:7: train.0: defence torchvision_weights does not fit model linear\n"
        "hint: it needs a net built by torchvision (models torchvision, vgg19, resnet50_imagenet)\n"
    )
    path.write_text(
        PUBLISHED.replace("MODEL", "torchvision").replace(
            "s: {}}\na", "s: {weights: IMAGENET_V1}}\na"
        )
    )
    assert call("validate", path) == 2
    told = capsys.readouterr().err
    assert told.startswith(f"error: {path}:4: ")
    assert "torchvision has no weights 'IMAGENET_V1'; did you mean IMAGENET1K_V1?" in told


def test_a_smoke_run_reads_no_weights() -> None:
    assert TorchvisionWeights().smoke() == Untrained()


def test_the_users_own_file_is_loaded_by_its_digest(web: Path) -> None:
    digest = hashlib.sha256(web.read_bytes()).hexdigest()
    assert same(small(1), train(Pretrained(file=str(web), sha256=digest), small(2)))
