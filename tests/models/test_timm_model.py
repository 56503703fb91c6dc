"""Nets of timm."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from workbench import call

from invspec.models.timm_model import TimmModel

RGB = (3, 32, 32)


def fake_timm(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Install a fake timm with one tiny net; returns the arguments of the calls that build it."""
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


def test_a_net_unknown_to_timm_is_refused_with_the_nearest_name(
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
    monkeypatch.setitem(sys.modules, "timm", None)  # type: ignore[arg-type]  # as if it were not installed
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
