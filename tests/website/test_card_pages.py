"""Every card has a page in five parts, with a spec that is valid."""

from __future__ import annotations

import hashlib
import itertools
import re
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from card_pages import page, pages
from docstrings import described, escaped
from minimal_specs import PLACEHOLDER, as_text, ground_of, grounds, minimal_spec, on_ground
from PIL import Image
from torch import nn

from invspec.errors import InvspecError
from invspec.plan import planner, validation
from invspec.registry.cards import KINDS, Kind, names
from invspec.spec import document, resolve

CARDS = [(kind, name) for kind in KINDS for name in names(kind)]
PARTS = ("What it does", "Paper and deviation", "Fields", "In a spec", "What its results mean")
# what a reader might put in place of the placeholder
FILLED = {
    "file": "weights.pth",
    "sha256": "0" * 64,
    "folder": "birds",
    "attack": "LinfPGD",
    "arch": "resnet18",
}


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A net for 28 x 28 images, saved by torch.export."""
    classifier, x = nn.Sequential(nn.Flatten(), nn.Linear(784, 10)), torch.zeros(2, 1, 28, 28)
    batch = torch.export.Dim("batch")
    program = torch.export.export(classifier, (x,), dynamic_shapes=({0: batch},))
    path = tmp_path_factory.mktemp("exported") / "net.pt2"
    torch.export.save(program, path)
    return path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A data folder with images in folders."""
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    for split, name in itertools.product(("train", "val", "test"), ("crow", "owl")):
        folder = tmp_path / "birds" / split / name
        folder.mkdir(parents=True)
        Image.new("RGB", (32, 32)).save(folder / "bird.png")
    return tmp_path


def filled(value: Any, values: dict[str, str]) -> Any:
    """A part of a spec with values in place of the placeholder, by the names of fields."""
    if isinstance(value, dict):
        return {
            key: values[key] if item == PLACEHOLDER else filled(item, values)
            for key, item in value.items()
        }
    return [filled(item, values) for item in value] if isinstance(value, list) else value


def problem_of(kind: Kind, name: str, ground: str, values: dict[str, str]) -> str:
    """Why the spec of a card is refused on a ground; empty if it is not."""
    text = as_text(filled(on_ground(kind, name, ground), values))
    try:
        planned = planner.plan(resolve.resolve(document.parse(text, f"{name}.yaml")))
        # as if all nets were in the store, so that no file of weights is needed
        validation.check(planned, lambda train: True)
    except InvspecError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_the_spec_of_a_card_is_valid(kind: Kind, name: str, data: Path, net: Path) -> None:
    if name in ("timm", "robustbench"):
        pytest.importorskip(name)  # an extra
    values = dict(FILLED)
    if name == "exported":
        (data / "net.pt2").write_bytes(net.read_bytes())
        digest = hashlib.sha256(net.read_bytes()).hexdigest()
        values |= {"file": "net.pt2", "sha256": digest}
    problem = problem_of(kind, name, ground_of(kind, name), values)
    others = grounds() if problem else ()
    fitting = [ground for ground in others if not problem_of(kind, name, ground, values)]
    assert problem == "", f"name it in website/grounds.yaml under one of {fitting}"


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_spec_names_its_card(kind: Kind, name: str) -> None:
    spec = yaml.safe_load(as_text(minimal_spec(kind, name)))
    assert spec == minimal_spec(kind, name)
    entries = spec[f"{kind}s"]
    used = [entry["use"] for entry in entries] if kind == "check" else list(entries)
    assert name in used


@pytest.mark.parametrize(("kind", "name"), CARDS)
def test_a_page_has_five_parts(kind: Kind, name: str) -> None:
    text = page(kind, name)
    assert tuple(re.findall(r"^## (.+)$", text, re.M)) == PARTS
    parts = re.split(r"^## .+$", text, flags=re.M)
    assert all(len(part.strip()) > 10 for part in parts)


def test_there_is_a_page_for_every_card_and_an_index_for_every_kind() -> None:
    made = dict(pages())
    assert set(made) == {
        "cards/index.md",
        *(f"cards/{kind}/index.md" for kind in KINDS),
        *(f"cards/{kind}/{name}.md" for kind, name in CARDS),
    }
    for kind, name in CARDS:
        assert f"[{name}]({name}.md)" in made[f"cards/{kind}/index.md"]


def test_a_check_is_run_by_every_spec() -> None:
    written = dict(pages())
    checks = [path for path in written if path.startswith("cards/check/") and "index" not in path]
    assert len(checks) > 15
    assert [path for path in checks if "No shipped spec uses it" in written[path]] == []


def test_grounds_name_cards_that_there_are() -> None:
    named = [
        (kind, name)
        for ground in grounds().values()
        for kind, listed in ground.get("for", {}).items()
        for name in listed
    ]
    assert len(named) == len(set(named))
    assert set(named) <= set(CARDS)


def test_a_docstring_is_sorted_into_parts() -> None:
    about = described(
        """Count what is found.

        It looks twice.

        One row for each class:

            right   share

        Deviates: the paper looks once.

        Raises: InvspecError where nothing is found.
        """,
        with_rows=True,
    )
    assert about.about == ["Count what is found.", "It looks twice."]
    assert about.rows == ["One row for each class:", "```text\nright   share\n```"]
    assert about.deviates == ["the paper looks once."]
    assert about.raises == ["InvspecError where nothing is found."]


@pytest.mark.parametrize(
    ("text", "markdown"),
    [
        ("x[0] * y", r"x\[0\] \* y"),
        ("moves by step_size", "moves by `step_size`"),
        ("`a * b` and <c>", "`a * b` and &lt;c>"),
    ],
)
def test_signs_of_markdown_are_shown_as_they_are(text: str, markdown: str) -> None:
    assert escaped(text) == markdown
