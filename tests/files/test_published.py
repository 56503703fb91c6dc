"""torchvision's published weights: where they are looked for, and what is refused."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from invspec.errors import InvspecError
from invspec.files.published import published_weights

OURS = "net_features"


def saved(path: Path, number: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save({"weight": torch.tensor(number)}, path)
    return path


@pytest.fixture
def url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The address of a file that holds 1, named after its digest; it lies in tmp_path."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    path = saved(tmp_path / "net.pth", 1.0)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return f"https://invalid/{path.rename(tmp_path / f'net-{digest[:8]}.pth').name}"


def published_file(url: str, tmp_path: Path) -> Path:
    return tmp_path / url.rpartition("/")[2]


def weight(url: str, our_name: str = OURS) -> float:
    content, _ = published_weights(url, our_name)
    number: Tensor = content["weight"]
    return number.item()


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr(torch.hub, "download_url_to_file", fail)


@pytest.mark.usefixtures("no_network")
def test_files_are_looked_for_in_the_documented_order(url: str, tmp_path: Path) -> None:
    published = published_file(url, tmp_path)
    cached = tmp_path / "torch" / "hub" / "checkpoints" / published.name
    data = tmp_path / "data" / "weights"
    for folder in (cached.parent, data):
        folder.mkdir(parents=True)
        (folder / published.name).write_bytes(published.read_bytes())
    saved(data / f"{OURS}.pth", 2.0)
    order = [data / f"{OURS}.pth", data / published.name, cached]
    for path in order:
        assert published_weights(url, OURS)[1] == path
        path.unlink()
    with pytest.raises(InvspecError, match="cannot be downloaded: no route to host"):
        published_weights(url, OURS)


@pytest.mark.usefixtures("no_network")
def test_a_name_of_ours_is_used_only_where_the_caller_has_one(url: str, tmp_path: Path) -> None:
    saved(tmp_path / "data" / "weights" / f"{OURS}.pth", 2.0)
    assert weight(url) == 2
    with pytest.raises(InvspecError, match="cannot be downloaded") as problem:
        weight(url, our_name="")
    assert problem.value.hint == f"download {url} to the folder weights in INVSPEC_DATA"


@pytest.mark.usefixtures("no_network")
def test_without_a_network_both_names_are_offered(url: str) -> None:
    with pytest.raises(InvspecError) as problem:
        weight(url)
    assert problem.value.hint == (
        f"download {url} to the folder weights in INVSPEC_DATA, as it is or as {OURS}.pth"
    )


@pytest.mark.parametrize("folder", ["data/weights", "torch/hub/checkpoints"])
def test_the_digits_in_a_files_name_are_checked_at_every_read(
    folder: str, url: str, tmp_path: Path
) -> None:
    path = saved(tmp_path / folder / published_file(url, tmp_path).name, 3.0)
    with pytest.raises(InvspecError, match="has other content: found SHA-256") as problem:
        weight(url)
    assert str(path) in problem.value.message
    assert problem.value.hint == "delete it, so that it is downloaded again"


def test_a_download_goes_to_the_cache_once(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[tuple[str, str]] = []
    published = published_file(url, tmp_path)

    def fetch(source: str, to: str, hash_prefix: str, progress: bool) -> None:
        calls.append((source, hash_prefix))
        Path(to).write_bytes(published.read_bytes())

    monkeypatch.setattr(torch.hub, "download_url_to_file", fetch)
    assert [weight(url), weight(url)] == [1, 1]
    assert calls == [(url, published.stem[-8:])]
