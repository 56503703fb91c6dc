"""Files of weights: what is read, what is refused, and their digests."""

from __future__ import annotations

import hashlib
import itertools
import os
import pickle
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.files.weights import checked, content_of, loaded, sha256

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.zeros(2)}


def saved(content: Any) -> bytes:
    file = BytesIO()
    torch.save(content, file)
    return file.getvalue()


def test_the_content_tells_safetensors_from_files_of_torch_whatever_the_suffix() -> None:
    contents = saved(WEIGHTS), safetensors.torch.save(WEIGHTS)
    names = "a.pth", "a", "a.pth.tar", "a.safetensors", "a.SAFETENSORS"
    for content, name in itertools.product(contents, names):
        read = loaded(content, Path(name))
        assert read.keys() == WEIGHTS.keys()
        assert all(torch.equal(read[name], tensor) for name, tensor in WEIGHTS.items())


def test_numbers_texts_and_lists_beside_the_weights_are_read() -> None:
    content = {"state_dict": WEIGHTS, "epoch": 3, "names": ["a", "b"], "lr": 0.1}
    read = loaded(saved(content), Path("a.pth"))
    assert {name: read[name] for name in ("epoch", "names", "lr")} == {
        "epoch": 3,
        "names": ["a", "b"],
        "lr": 0.1,
    }


class Bait:
    """Leaves a file behind when it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> Any:
        return Path.touch, (self.trace,)


def test_a_file_that_could_run_code_is_refused_and_runs_none(tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    for content in (saved(Bait(trace)), pickle.dumps(Bait(trace)), saved(nn.Linear(1, 1))):
        with pytest.raises(InvspecError) as problem:
            loaded(content, Path("a.pth"))
        assert problem.value.message.startswith("a.pth cannot be loaded as weights: ")
        assert "save the state dict alone" in problem.value.hint
        assert "\n" not in problem.value.message
    assert not trace.exists()


@pytest.mark.parametrize("name", ["a.pth", "a.safetensors"])
@pytest.mark.parametrize("content", [b"", b"junk", saved(WEIGHTS)[:100]])
def test_a_damaged_file_is_named(name: str, content: bytes) -> None:
    with pytest.raises(InvspecError, match=f"{name} cannot be loaded as weights: ."):
        loaded(content, Path(name))


def test_a_missing_file_is_refused_with_the_hint(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    with pytest.raises(InvspecError) as problem:
        content_of(path, "fetch it")
    assert str(problem.value) == f"{path} cannot be read: No such file or directory\nhint: fetch it"
    for read in (lambda: checked(path, "00"), lambda: sha256(path)):
        with pytest.raises(InvspecError, match=r"a\.pth cannot be read: No such file"):
            read()


def test_a_file_is_read_if_its_digest_begins_with_the_digits(tmp_path: Path) -> None:
    content = b"\x80content"
    path, digest = tmp_path / "a.pth", hashlib.sha256(content).hexdigest()
    path.write_bytes(content)
    assert checked(path, digest) == checked(path, digest[:8]) == content
    with pytest.raises(InvspecError) as problem:
        checked(path, digest[1:])
    assert problem.value.message == (
        f"{path} has other content: found SHA-256 {digest}, expected {digest[1:]}"
    )
    assert problem.value.hint == f"if this is the file you mean, write sha256: {digest}"
    with pytest.raises(InvspecError, match="hint: fetch it again"):
        checked(path, "00", "fetch it again")


def test_a_digest_is_that_of_the_content_whatever_the_times_say(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    for content, time in ((b"one", 1), (b"two", 2), (b"three", 2), (b"THREE", 2)):
        path.write_bytes(content)
        os.utime(path, ns=(time, time))
        assert sha256(path) == hashlib.sha256(content).hexdigest()


def test_a_page_in_place_of_the_file_is_named_and_its_digest_is_not_offered(tmp_path: Path) -> None:
    path = tmp_path / "a.pth"
    path.write_text("<!DOCTYPE html><html>sign in</html>")
    with pytest.raises(InvspecError, match="is not the file expected: it is a web page") as problem:
        checked(path, "00")
    assert "write sha256" not in problem.value.hint


def test_folders_and_dangling_links_of_git_annex_are_named(tmp_path: Path) -> None:
    link = tmp_path / "a.pth"
    link.symlink_to(".git/annex/objects/xX/zZ/SHA256E-s9--00.pth/SHA256E-s9--00.pth")
    for read in (content_of, sha256):
        with pytest.raises(InvspecError, match="link of git-annex") as problem:
            read(link)
        assert "git annex get" in problem.value.hint
    with pytest.raises(InvspecError, match="Is a directory") as problem:
        content_of(tmp_path)
    assert problem.value.hint == "name the file of weights, not its folder"
