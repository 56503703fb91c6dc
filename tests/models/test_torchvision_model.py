"""Nets of other libraries, and torchvision's published weights: what is built, found, loaded and refused."""

from __future__ import annotations

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import nn
from torchvision import models
from workbench import call

from invspec.data import Journal, TensorSplit
from invspec.defences import torchvision_weights
from invspec.defences.pretrained import Pretrained
from invspec.defences.torchvision_weights import TorchvisionWeights, located, published
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.kinds import Model, Standardised
from invspec.models.linear import Linear
from invspec.models.timm_model import TimmModel
from invspec.models.torchvision_model import TorchvisionModel
from invspec.ops.draws import Stream
from invspec.registry import methods

RGB = (3, 32, 32)
DATA = TensorSplit(torch.zeros(1, *RGB), torch.zeros(1, dtype=torch.int64))


def train(defence: Any, net: nn.Module) -> nn.Module:
    assert defence.train(net, DATA, Stream("key"), Journal()) == {}
    return net


# ─ torchvision's nets ─────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_net_is_torchvisions_own_behind_the_standardisation_of_imagenet() -> None:
    torch.manual_seed(0)
    net = TorchvisionModel(arch="squeezenet1_1").build(RGB, 7).eval()
    torch.manual_seed(0)
    theirs = models.squeezenet1_1(num_classes=7).eval()
    x = torch.rand(2, *RGB)
    mean, std = (
        torch.tensor(each).view(3, 1, 1) for each in ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    )
    assert net(x).equal(theirs((x - mean) / std))
    assert isinstance(net, Standardised)


SIZES = {
    "inception_v3": 299,
    "vit_b_32": 64,
    "maxvit_t": 224,
    "googlenet": 64,
    "regnet_x_400mf": 32,
    "swin_t": 64,
}


@pytest.mark.parametrize("arch", ["mnasnet0_5", "shufflenet_v2_x0_5", *SIZES])
def test_nets_with_ways_of_their_own_are_sketched(arch: str) -> None:
    side = SIZES.get(arch, 32)
    net = TorchvisionModel(arch=arch).sketch((3, side, side), 7).eval()
    device = next(net.parameters()).device
    assert net(torch.zeros(2, 3, side, side, device=device)).shape == (2, 7)


@pytest.mark.parametrize(
    ("card", "count"),
    [("vgg19", 143667240), ("resnet18_imagenet", 11689512), ("resnet50_imagenet", 25557032)],
)
def test_the_cards_of_table_1_are_nets_of_the_published_size(card: str, count: int) -> None:
    model = methods.make("model", card, {})
    assert isinstance(model, Model)
    assert sum(weight.numel() for weight in model.sketch((3, 224, 224), 1000).parameters()) == count


def test_an_unknown_net_is_refused_with_the_nearest_name() -> None:
    with pytest.raises(
        ValidationError, match=r"torchvision has no net 'resnet19'; did you mean resnet1"
    ):
        TorchvisionModel(arch="resnet19")


@pytest.mark.parametrize(
    ("arch", "shape", "message"),
    [
        ("resnet18", (1, 28, 28), "needs RGB images, found 1 channels"),
        ("vit_b_16", (3, 32, 48), "needs square images"),
    ],
)
def test_images_that_a_net_does_not_take_are_refused(arch: str, shape: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        TorchvisionModel(arch=arch).build(shape, 10)


# ─ torchvision's weights ──────────────────────────────────────────────────────────────────────────────────────────────


def small(seed: int = 0, classes: int = 1000) -> nn.Module:
    torch.manual_seed(seed)
    return TorchvisionModel(arch="shufflenet_v2_x0_5").build(RGB, classes)


def same(one: nn.Module, other: nn.Module) -> bool:
    return all(weight.equal(other.state_dict()[name]) for name, weight in one.state_dict().items())


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file as torchvision publishes them, named after its digest; INVSPEC_DATA is data, torch's cache is hub."""
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


def test_weights_that_are_not_there_are_downloaded_to_torchs_cache(
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
    with pytest.raises(InvspecError, match="is another file: found SHA-256") as problem:
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
    path = tmp_path / "googlenet.pth"
    torch.save(
        {name: torch.full(w.shape, 0.5, dtype=w.dtype) for name, w in theirs.state_dict().items()},
        path,
    )
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setattr(torchvision_weights, "located", lambda url: (path, digest[:8]))
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


def test_a_name_ends_in_the_digits_that_are_checked(web: Path) -> None:
    web.rename(web.parent / "data" / "weights" / web.name)
    path, digits = located(f"https://invalid/{web.name}")
    assert hashlib.sha256(path.read_bytes()).hexdigest().startswith(digits)


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


def test_another_net_and_weights_of_no_net_are_refused_by_validate(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "x.yaml"
    path.write_text(PUBLISHED.replace("MODEL", "torchvision"))
    assert call("validate", path) == 0
    path.write_text(PUBLISHED.replace("MODEL", "linear"))
    assert call("validate", path) == 2
    assert capsys.readouterr().err == (
        f"error: {path}:7: train.0: defence torchvision_weights does not fit model linear\n"
        "hint: it needs a net of torchvision, as the models torchvision, vgg19 and resnet50_imagenet are\n"
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


def test_a_file_of_ones_own_is_loaded_by_its_digest(web: Path) -> None:
    digest = hashlib.sha256(web.read_bytes()).hexdigest()
    assert same(small(1), train(Pretrained(file=str(web), sha256=digest), small(2)))


# ─ timm ───────────────────────────────────────────────────────────────────────────────────────────────────────────────


def fake_timm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """A package timm that has one net, tiny; the arguments with which it is asked to build it."""
    asked: list[dict[str, Any]] = []

    def create_model(arch: str, **settings: Any) -> nn.Module:
        asked.append({"arch": arch, **settings})
        return nn.Sequential(
            nn.Conv2d(settings["in_chans"], 4, 3),
            nn.Flatten(),
            nn.LazyLinear(settings["num_classes"]),
        )

    known = ["tiny_vit"]
    module = SimpleNamespace(
        create_model=create_model, is_model=known.__contains__, list_models=lambda: known
    )
    monkeypatch.setitem(sys.modules, "timm", module)  # type: ignore[arg-type]
    return asked


def test_a_net_of_timm_is_built_for_the_data_set(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = fake_timm(monkeypatch)
    net = TimmModel(arch="tiny_vit", mean=(0.5,), std=(0.5,)).build((1, 8, 8), 3)
    assert net(torch.rand(2, 1, 8, 8)).shape == (2, 3)
    assert asked == [{"arch": "tiny_vit", "pretrained": False, "num_classes": 3, "in_chans": 1}]
    assert net.pixel_std.tolist() == [0.5]


def test_a_net_that_timm_does_not_have_is_refused_with_the_nearest_name(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_timm(monkeypatch)
    with pytest.raises(ValueError, match=r"timm has no net 'tiny_vits'; did you mean tiny_vit\?"):
        TimmModel(arch="tiny_vits").build(RGB, 3)


SPEC = """\
title: a net of timm
datasets: {fake: {shape: [3, 32, 32], classes: 3, train: 24, test: 20}}
models: {timm: {arch: tiny_vit}}
defences: {untrained: {}}
attacks: {identity: {}}
measures: {accuracy: {of: identity}}
train: [{dataset: fake, model: timm, defence: untrained}]
"""


def test_without_timm_validate_says_how_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "timm", None)  # type: ignore[arg-type]  # as if it were not there
    path = tmp_path / "x.yaml"
    path.write_text(SPEC)
    assert call("validate", path) == 2
    told = capsys.readouterr().err
    assert told.startswith(
        f"error: {path}:7: train.0.model: timm on fake: timm cannot be imported: "
    )
    assert told.endswith("\nhint: pip install 'invspec[timm]'\n")


@pytest.mark.skipif(find_spec("timm") is None, reason="timm is not installed")
def test_a_real_net_of_timm_has_the_logits_and_a_gradient() -> None:
    model = TimmModel(arch="resnet18")
    net, x = model.deploy(model.build(RGB, 5)), torch.rand(2, *RGB, requires_grad=True)
    net(x).sum().backward()
    assert net(x).shape == (2, 5)
    assert x.grad is not None
    assert x.grad.abs().sum() > 0
