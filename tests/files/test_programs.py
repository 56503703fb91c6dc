"""Programs of torch.export: unsafe and damaged files are refused."""

from __future__ import annotations

import hashlib
import json
import logging
import pickle
import warnings
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import torch
from program_toys import CLASSES, SHAPE, model, net, program, refusal, written, x

from invspec.models.exported import ExportedProgram


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
