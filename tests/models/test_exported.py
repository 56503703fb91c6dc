"""Programs of torch.export: they equal the exported net, and unsafe files are refused."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest
import torch
from program_toys import CLASSES, SHAPE, model, net, program, refusal, written, x
from shown import shown
from workbench import FAKE, Memory, call, perturb, score

from invspec.attacks.pgd import PGD
from invspec.defences.untrained import Untrained
from invspec.kinds import Standardised
from invspec.models.exported import ExportedProgram
from invspec.tasks import Train

# ─ the net ─


@pytest.mark.parametrize("n", [1, 3, 8])
def test_a_program_equals_the_exported_net_for_any_number_of_images(tmp_path: Path, n: int) -> None:
    found = model(tmp_path).build(SHAPE, CLASSES)
    assert found(x[:n]).equal(net()(x[:n]))


def test_mean_and_std_are_applied_first(tmp_path: Path) -> None:
    found = model(tmp_path, mean=(0.5,), std=(0.25,)).build(SHAPE, CLASSES)
    assert found(x).equal(net()((x - 0.5) / 0.25))
    assert isinstance(found, Standardised)


def test_train_and_eval_mode_give_the_same_logits(tmp_path: Path) -> None:
    found = model(tmp_path).build(SHAPE, CLASSES)
    assert found.train()(x).equal(found.eval()(x))
    assert not any(module.training for module in found.modules())


def test_a_deployed_program_and_its_copy_have_gradients_for_the_input_only(tmp_path: Path) -> None:
    exported = model(tmp_path)
    for found in (
        deployed := exported.deploy(exported.build(SHAPE, CLASSES)),
        copy.deepcopy(deployed),
    ):
        images = x.clone().requires_grad_()
        found(images).square().sum().backward()
        assert not any(weight.requires_grad for weight in found.parameters())
        (expected,) = torch.autograd.grad(
            net()(again := x.clone().requires_grad_()).square().sum(), again
        )
        assert images.grad is not None
        torch.testing.assert_close(images.grad, expected)


def test_its_weights_survive_a_state_dict(tmp_path: Path) -> None:
    first, second = (model(tmp_path).build(SHAPE, CLASSES) for _ in range(2))
    with torch.no_grad():
        for weight in first.parameters():
            weight.mul_(0.5)
    assert not first(x).equal(second(x))
    second.load_state_dict(first.state_dict())
    assert first(x).equal(second(x))


def test_it_can_be_attacked_and_scored_without_training(tmp_path: Path) -> None:
    task = Train(FAKE, model(tmp_path), Untrained(), seed=0)
    runtime = Memory()
    rows = shown(runtime.load(score(perturb(PGD(eps=0.1, steps=2), task))).rows or ())
    assert [row.n for row in rows] == [20]
    kept = runtime.load(task).tensors
    assert all(
        kept[f"net.graph.{name}"].equal(weight) for name, weight in net().state_dict().items()
    )


# ─ refused ─


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, program())
    problem = refusal(ExportedProgram(file=str(path), sha256=64 * "0"))
    digest = hashlib.sha256(program()).hexdigest()
    assert (
        problem.message == f"{path} has other content: found SHA-256 {digest}, expected {64 * '0'}"
    )


@pytest.mark.parametrize("batch", [1, 4])
def test_a_program_for_a_fixed_number_of_images_is_refused(tmp_path: Path, batch: int) -> None:
    with pytest.raises(
        ValueError, match=rf"takes exactly {batch} images at once; export it with dynamic_shapes="
    ):
        model(tmp_path, program(batch)).build(SHAPE, CLASSES)


def test_a_program_for_other_images_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="the program takes images of 1x4x4, expected 1x8x8"):
        model(tmp_path).build((1, 8, 8), CLASSES)


# ─ in a spec ─

SPEC = """\
title: a program
datasets: {fake: {shape: [1, 4, 4], classes: CLASSES, train: 24, test: 20}}
models: {exported: {file: net.pt2, sha256: DIGEST}}
defences: {untrained: {}}
attacks: {pgd: {eps: 0.1, steps: 2}}
measures: {accuracy: {of: pgd}}
train: [{dataset: fake, model: exported, defence: untrained}]
"""


def spec(folder: Path, classes: int = CLASSES) -> Path:
    path = folder / "x.yaml"
    digest = hashlib.sha256(program()).hexdigest()
    path.write_text(SPEC.replace("CLASSES", str(classes)).replace("DIGEST", digest))
    return path


def test_a_spec_with_a_program_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    written(tmp_path, program())
    assert call("run", spec(tmp_path), "--workers", 1, "--store", tmp_path / "store") == 0


def test_validate_reports_a_missing_file_and_a_wrong_number_of_logits_with_the_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    path = spec(tmp_path, classes=5)
    assert call("validate", path) == 2
    where = f"error: {path}:7: train.0.model: exported on fake"
    expected = f"{where}: {tmp_path}/net.pt2 cannot be read: No such file"
    assert capsys.readouterr().err.startswith(expected)
    written(tmp_path, program())
    assert call("validate", path) == 2
    assert "exported on fake: expected 5 logits" in capsys.readouterr().err
