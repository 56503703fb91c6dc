"""Weights that are missing or do not fit, found before anything runs."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from spec_toys import BASE, resolved
from torch import nn

from invspec.plan import planner, validation
from invspec.plan.cells import Plan

CLASSES = 10


def weights(folder: Path, rename: str = "{}", classes: int = CLASSES) -> dict[str, Any]:
    """The entry of a defence that loads weights of the toy spec's net."""
    shape = planner.plan(resolved()).cells[0].goal.train.dataset.shape
    net = nn.Sequential(nn.Flatten(), nn.Linear(shape[0] * shape[1] * shape[2], classes))
    path = folder / "w.pth"
    torch.save({rename.format(name): item for name, item in net.state_dict().items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return {"use": "pretrained", "file": str(path), "sha256": digest}


def planned(defence: dict[str, Any], **changes: Any) -> Plan:
    return planner.plan(resolved(defences={"standard": defence}, **changes))


def problems(plan: Plan) -> list[str]:
    return [str(problem) for problem in validation.problems(plan)]


def test_weights_that_fit_are_no_problem(tmp_path: Path) -> None:
    assert problems(planned(weights(tmp_path))) == []
    assert problems(planned(weights(tmp_path, "module.{}"))) == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"file": "/nowhere/w.pth"}, "/nowhere/w.pth cannot be read: No such file"),
        ({"sha256": 64 * "0"}, "has other content: found SHA-256"),
        ({"entry": "net"}, "the file has no entry 'net'"),
    ],
)
def test_missing_and_other_files_are_found(
    tmp_path: Path, change: dict[str, Any], words: str
) -> None:
    (text,) = problems(planned({**weights(tmp_path), **change}))
    assert "defences.standard: " in text
    assert words in text


def test_other_names_and_shapes_are_found(tmp_path: Path) -> None:
    (text,) = problems(planned(weights(tmp_path, "layers_{}.0")))
    assert "names missing in the file: 1.weight, 1.bias" in text
    (text,) = problems(planned(weights(tmp_path, classes=7)))
    assert "1.weight: found (7, " in text


def test_the_file_of_an_oracle_is_checked(tmp_path: Path) -> None:
    oracle = {**weights(tmp_path), "sha256": 64 * "0"}
    measures: dict[str, Any] = {"accuracy": {"of": "pgd"}}
    measures["judged"] = {
        "use": "metamer_label",
        "of": "walk",
        "oracle": {"model": "linear", "defence": "oracle"},
    }
    attacks = {"pgd": {}, "walk": {"use": "identity", "sample": {"targets": {"per_class": 1}}}}
    plan = planner.plan(
        resolved(defences={"standard": {}, "oracle": oracle}, measures=measures, attacks=attacks)
    )
    assert any("defences.oracle: " in text for text in problems(plan))


def test_files_of_finished_trainings_are_not_needed(tmp_path: Path) -> None:
    plan = planned({**weights(tmp_path), "file": "/nowhere/w.pth"})
    assert [*validation.problems(plan, lambda train: True)] == []


def test_a_smoke_run_needs_no_file() -> None:
    defence = {"use": "pretrained", "file": "/nowhere/w.pth", "sha256": 64 * "0"}
    spec = resolved(defences={"standard": defence}).smoke()
    assert problems(planner.plan(spec)) == []


@pytest.mark.parametrize(
    ("attack", "classes", "fits"),
    [
        ({"use": "autoattack"}, 2, False),
        ({"use": "autoattack"}, 3, False),
        ({"use": "autoattack"}, 4, True),
        ({"use": "apgd", "loss": "dlr"}, 2, False),
        ({"use": "apgd", "loss": "dlr"}, 3, True),
        ({"use": "apgd", "loss": "dlr_targeted"}, 3, False),
        ({"use": "pgd", "loss": "dlr"}, 2, False),
        ({"use": "pgd_conf", "loss": "dlr"}, 2, False),
        ({"use": "msd", "loss": "dlr"}, 2, False),
        ({"use": "union_max", "attacks": [{"use": "autoattack"}]}, 3, False),
        ({"use": "fab"}, 2, True),
        ({"use": "square"}, 2, True),
    ],
)
def test_attacks_get_the_classes_that_they_compare(
    attack: dict[str, Any], classes: int, fits: bool
) -> None:
    data = {"fake": {"shape": [1, 4, 4], "classes": classes}}
    found = problems(planner.plan(resolved(attacks={"pgd": attack}, datasets=data)))
    if fits:
        assert found == []
    else:
        (text,) = found
        assert f"classes, fake has {classes}" in text
        assert "train.0" in text


def test_the_attack_of_a_defence_gets_its_classes() -> None:
    attack = {"use": "pgd", "loss": "dlr"}
    changed = {"standard": {"use": "adversarial_training", "attack": attack}}
    data = {"fake": {"shape": [1, 4, 4], "classes": 2}}
    (text,) = problems(planner.plan(resolved(defences=changed, datasets=data)))
    assert "attack of defence standard needs at least 3 classes" in text


def test_the_base_spec_has_no_problem() -> None:
    assert problems(planner.plan(resolved(**BASE))) == []
