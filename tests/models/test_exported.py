"""Programs of torch.export: they equal the exported net, and unsafe files are refused."""

from __future__ import annotations

import copy
import hashlib
import json
import logging
import pickle
import warnings
import zipfile
from functools import cache
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from shown import shown
from torch import nn
from workbench import FAKE, Memory, call, perturb, score

from invspec.attacks.pgd import PGD
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.kinds import Standardised
from invspec.models.exported import ExportedProgram
from invspec.tasks import Train

SHAPE, CLASSES = (1, 4, 4), 3


@cache
def net() -> nn.Module:
    """A net with batch norm and dropout, so that its mode matters."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        layers = nn.Sequential(
            nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Dropout(), nn.Flatten()
        )
        return layers.append(nn.Linear(16, CLASSES)).eval()


@cache
def program(batch: int | None = None) -> bytes:
    """The net as a .pt2 file, for any number of images or for one."""
    x = torch.rand(batch or 8, *SHAPE)
    dynamic = None if batch else ({0: torch.export.Dim("batch")},)
    file = BytesIO()
    torch.export.save(torch.export.export(net(), (x,), dynamic_shapes=dynamic), file)
    return file.getvalue()


def written(folder: Path, content: bytes) -> Path:
    path = folder / "net.pt2"
    path.write_bytes(content)
    return path


def model(folder: Path, content: bytes | None = None, **fields: Any) -> ExportedProgram:
    path = written(folder, content or program())
    return ExportedProgram(
        file=str(path), sha256=hashlib.sha256(path.read_bytes()).hexdigest(), **fields
    )


x = torch.rand(8, *SHAPE, generator=torch.Generator().manual_seed(0))


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


def refusal(exported: ExportedProgram) -> InvspecError:
    with pytest.raises(InvspecError) as problem:
        exported.build(SHAPE, CLASSES)
    return problem.value


def test_a_file_with_another_digest_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, program())
    problem = refusal(ExportedProgram(file=str(path), sha256=64 * "0"))
    digest = hashlib.sha256(program()).hexdigest()
    assert (
        problem.message == f"{path} has other content: found SHA-256 {digest}, expected {64 * '0'}"
    )


@pytest.mark.parametrize(
    "content", [b"", b"no program", program()[:200], program()[: len(program()) // 2]]
)
def test_a_file_that_is_no_program_is_refused(tmp_path: Path, content: bytes) -> None:
    path = written(tmp_path, content)
    digest = hashlib.sha256(content).hexdigest()
    problem = refusal(ExportedProgram(file=str(path), sha256=digest))
    assert problem.message.startswith(f"{path} cannot be loaded as a program: ")
    assert "\n" not in problem.message


def test_an_archive_of_another_kind_is_refused(tmp_path: Path) -> None:
    file = BytesIO()
    torch.save(net().state_dict(), file)
    assert refusal(model(tmp_path, file.getvalue())).message.endswith(
        "the archive has no models/model.json"
    )


def members(content: bytes) -> dict[str, bytes]:
    """The members of an archive, by their names in its folder."""
    with zipfile.ZipFile(BytesIO(content)) as archive:
        return {name.partition("/")[2]: archive.read(name) for name in archive.namelist()}


def packed(*entries: tuple[str, bytes]) -> bytes:
    """An archive of just these entries, whatever their names."""
    file = BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(file, "w") as archive:
        warnings.filterwarnings("ignore", "Duplicate name")
        for name, content in entries:
            archive.writestr(name, content)
    return file.getvalue()


def within(root: str, files: dict[str, bytes]) -> list[tuple[str, bytes]]:
    return [(f"{root}/{name}", content) for name, content in files.items()]


def changed(name: str, change: Any) -> bytes:
    """The program with one member replaced, or added."""
    files = members(program())
    return packed(*within("net", files | {name: change(files.get(name, b""))}))


def as_pickle(content: bytes) -> bytes:
    config = json.loads(content)
    config["config"]["5.bias"]["use_pickle"] = True
    return json.dumps(config).encode()


def as_object(content: bytes) -> bytes:
    return json.dumps(
        {"config": {"helper": {"use_pickle": False, "path_name": "opaque_obj_0"}}}
    ).encode()


class Bait:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


@pytest.mark.parametrize(
    ("name", "change", "found"),
    [
        ("data/weights/model_weights_config.json", as_pickle, "5.bias as a pickle"),
        ("data/constants/model_constants_config.json", as_object, "helper as a pickle"),
        ("data/constants/opaque_obj_0", lambda _: b"x", "data/constants/opaque_obj_0"),
        ("data/weights/model.pt", lambda _: b"x", "data/weights/model.pt"),
        ("data/aotinductor/model/net.so", lambda _: b"x", "data/aotinductor/model/net.so"),
        ("models/other.json", lambda _: b"{}", "models/other.json"),
    ],
)
def test_members_that_could_run_code_are_refused(
    tmp_path: Path, name: str, change: Any, found: str
) -> None:
    message = refusal(model(tmp_path, changed(name, change))).message
    assert message == f"{tmp_path}/net.pt2 contains {found}, which could run any code"


def test_a_pickle_in_place_of_the_sample_inputs_is_not_run(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for poison in (pickle.dumps(Bait(trace)), saved(Bait(trace))):
        content = changed("data/sample_inputs/model.pt", lambda _, poison=poison: poison)
        assert "cannot be loaded as a program" in refusal(model(tmp_path, content)).message
    assert not trace.exists()


def saved(value: Any) -> bytes:
    file = BytesIO()
    torch.save(value, file)
    return file.getvalue()


def baited(trace: Path) -> dict[str, bytes]:
    """The members of a program that leaves a trace when torch alone loads it."""
    files = members(program())
    weights = as_pickle(files["data/weights/model_weights_config.json"])
    name = json.loads(weights)["config"]["5.bias"]["path_name"]
    return files | {
        "data/weights/model_weights_config.json": weights,
        f"data/weights/{name}": saved(Bait(trace)),
    }


def test_entries_that_only_one_reader_sees_are_refused(tmp_path: Path) -> None:
    trace, plain = tmp_path / "trace", members(program())
    evil = baited(trace)
    with pytest.raises(Exception, match=r"5\.bias is not an instance of torch.nn.Parameter"):
        torch.export.load(BytesIO(packed(*within("a", evil))))  # by then it has unpickled the bait
    assert trace.exists(), "the bait is none"
    trace.unlink()
    for entries, reason in (
        (
            [("a/", b""), *within("a", evil)],
            "expected one folder of files at the top of the archive",
        ),
        (
            [*within("a", evil), ("a/", b"")],
            "expected one folder of files at the top of the archive",
        ),
        (
            [("a", b""), *within("a", evil)],
            "expected one folder of files at the top of the archive",
        ),
        (
            [*within("a", evil), *within("b", plain)],
            "expected one folder of files at the top of the archive",
        ),
        (
            [*within("b", plain), *within("a", evil)],
            "expected one folder of files at the top of the archive",
        ),
        ([*within("a", evil), *within("a", plain)], "duplicate entry a/.data/serialization_id"),
        ([*within("a", plain), *within("a", evil)], "duplicate entry a/.data/serialization_id"),
    ):
        message = refusal(model(tmp_path, packed(*entries))).message
        assert message == f"{tmp_path}/net.pt2 cannot be loaded as a program: {reason}"
    assert not trace.exists()


def test_torch_loads_exactly_what_was_checked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Bytes before the archive, which readers treat differently, do not reach torch."""
    read: list[bytes] = []
    load = torch.export.load
    monkeypatch.setattr(
        torch.export, "load", lambda file: (read.append(file.getvalue()), load(file))[1]
    )
    found = model(tmp_path, b"something else" + program()).build(SHAPE, CLASSES)
    assert found(x).equal(net()(x))
    assert members(read[0]) == members(program())


def test_a_program_that_torch_cannot_read_gives_one_message_with_the_reason(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    weights = "data/weights/model_weights_config.json"
    content = changed(weights, lambda content: content.replace(b'"weight_0"', b'"weight_9"'))
    message = refusal(model(tmp_path, content)).message
    assert message.startswith(f"{tmp_path}/net.pt2 cannot be loaded as a program: ")
    assert "weight_9" in message
    assert (caplog.records, *capfd.readouterr()) == ([], "", "")
    assert not logging.getLogger("torch.export").filters


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
