"""What an editor shows in a spec, by yaml-language-server itself."""

from __future__ import annotations

import re
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest
from imports import ROOT
from language_server import LanguageServer, command, running
from schemas import rules

from invspec.registry.cards import shipped
from invspec.spec import json_schema

pytestmark = pytest.mark.skipif(command() is None, reason="yaml-language-server is not installed")

SPEC = """\
title: a spec
datasets: {digits: {}}
models: {lenet: {}}
defences: {standard: {}}
attacks: {pgd: {eps: 8/255, steps: {sweep: [1, 2]}}}
measures: {accuracy: {of: pgd}}
train: [{dataset: digits, model: lenet, defence: standard}]
"""


class Editor:
    """An editor with a folder, and files that name their schema in their first line."""

    def __init__(self, server: LanguageServer, folder: Path) -> None:
        self._server, self._folder, self._count = server, folder, 0
        (folder / "schema.json").write_text(json_schema.text(rules()), encoding="utf-8")
        self._head = f"# yaml-language-server: $schema={(folder / 'schema.json').as_uri()}\n"

    def open(self, text: str) -> tuple[Path, list[Any]]:
        """A new file with this text, and what the server says of it."""
        self._count += 1
        path = self._folder / f"{self._count}.yaml"
        return path, self._server.open(path, self._head + text)

    def problems(self, text: str) -> list[tuple[str, str]]:
        """The words that are underlined in a text, and why."""
        lines = (self._head + text).splitlines()
        _, diagnostics = self.open(text)
        places = [(item["range"]["start"], item["range"]["end"], item) for item in diagnostics]
        return [
            (lines[start["line"]][start["character"] : end["character"]], item["message"])
            for start, end, item in places
        ]

    def at(self, request: str, text: str) -> Any:
        """The answer to a request at the cursor, which is | in the text."""
        before, after = text.split("|")
        path, _ = self.open(before + after)
        line, column = before.count("\n") + 1, len(before.rsplit("\n", 1)[-1])
        return self._server.at(request, path, line, column)

    def completions(self, text: str) -> dict[str, Any]:
        """What is offered at the cursor, by its label."""
        return {item["label"]: item for item in self.at("completion", text)["items"]}

    def hover(self, text: str) -> str:
        """What is shown at the cursor, without the signs of Markdown."""
        return self.at("hover", text)["contents"]["value"].replace("\\", "")


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Generator[Editor]:
    folder = tmp_path_factory.mktemp("editor")
    program = command()
    assert program
    with running(program, folder) as server:
        yield Editor(server, folder)


def test_a_correct_spec_has_no_problems(editor: Editor) -> None:
    assert editor.problems(SPEC) == []


@pytest.mark.parametrize(
    "path", sorted(shipped("specs").rglob("*.yaml")), ids=lambda path: path.stem
)
def test_a_spec_that_ships_has_no_problems(editor: Editor, path: Path) -> None:
    problems = editor.problems(path.read_text(encoding="utf-8"))
    # what the server says of YAML itself
    assert [message for _, message in problems if not message.startswith("Unused anchor")] == []


MISTAKES: dict[str, tuple[str, str, str, str]] = {
    "a misspelt field": ("eps: 8/255", "epss: 0.3", "epss", "Property epss is not allowed."),
    "a misspelt field of a model": (
        "lenet: {}",
        "lenet: {drpout: 0.5}",
        "drpout",
        "Property drpout is not allowed.",
    ),
    "a negative number": ("eps: 8/255", "eps: -1", "-1", "Value is below the minimum of 0."),
    "a word": (
        "eps: 8/255",
        "eps: small",
        "small",
        "expected a number or a fraction like 8/255",
    ),
    "an unknown word": ("eps: 8/255", "norm: l3", "l3", "expected linf | l2 | l1"),
    "a list": (
        "eps: 8/255",
        "eps: [0, 1]",
        "[0, 1]",
        "expected number ≥ 0, or {sweep: [...]}",
    ),
    "a wrong value of a sweep": ("[1, 2]", "[0, 2]", "0", "Value is below the minimum of 1."),
    "an unknown method": (
        "pgd: {",
        "pgd: {use: pdg, ",
        "pdg",
        "no attack has this name; `invspec list attack` shows all",
    ),
    "an unknown label": (
        "pgd: {",
        "pdg: {",
        "pdg",
        "no attack has the name of this label; add `use: name`",
    ),
    "a missing field": (
        "standard: {}",
        "pretrained: {file: a.pth}",
        "pretrained",
        'Missing property "sha256".',
    ),
    "a misspelt field of a method in a field": (
        "standard: {}",
        "trades: {attack: {use: pgd, epss: 1}}",
        "epss",
        "Property epss is not allowed.",
    ),
    "a method in a field without a name": (
        "standard: {}",
        "trades: {attack: {eps: 1}}",
        "attack",
        "`use` is missing, as in {use: name}",
    ),
    "a misspelt part": ("defences:", "defenses:", "defenses", "Property defenses is not allowed."),
}


@pytest.mark.parametrize(("right", "wrong", "word", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_underlined_in_words(
    editor: Editor, right: str, wrong: str, word: str, message: str
) -> None:
    assert SPEC.count(right) == 1
    missing = ("t", 'Missing property "defences".')
    problems = [item for item in editor.problems(SPEC.replace(right, wrong)) if item != missing]
    assert problems == [(word, message)]


PAGE = (ROOT / "docs" / "editor.md").read_text(encoding="utf-8")


@pytest.mark.parametrize(("entry", "message"), re.findall(r"^\| `(.*?)` \| (.*) \|$", PAGE, re.M))
def test_the_page_about_editors_quotes_the_server(editor: Editor, entry: str, message: str) -> None:
    text = SPEC.replace("pgd: {eps: 8/255, steps: {sweep: [1, 2]}}", entry)
    assert [said for _, said in editor.problems(text)] == [message.replace("\\|", "|")]


def test_the_fields_of_a_method_are_offered_under_its_label(editor: Editor) -> None:
    offered = editor.completions("title: a spec\nattacks:\n  pgd:\n    steps: 3\n    |\n")
    assert {"use", "eps", "norm", "restarts", "sample", "before"} <= offered.keys()
    assert not {"steps", "queries", "threads"} & offered.keys()
    assert offered["eps"]["insertText"] == "eps: ${1:0.3}"
    assert offered["eps"]["documentation"] == (
        "radius of the ball, in units of eps_space (pixels in [0, 1])\n\nnumber ≥ 0, default 0.3"
    )


def test_the_fields_of_a_method_are_offered_behind_use(editor: Editor) -> None:
    start = "title: a spec\ndefences:\n  mine:\n    use: trades\n"
    assert {"beta", "epochs", "schedule", "attack"} <= editor.completions(f"{start}    |\n").keys()
    inner = editor.completions(f"{start}    attack:\n      use: pgd\n      |\n")
    assert "eps" in inner
    assert not {"sample", "momentum", "beta"} & inner.keys()


def test_methods_are_offered_as_labels_and_after_use(editor: Editor) -> None:
    labels = editor.completions("title: a spec\nattacks:\n  |\n")
    assert labels["pgd"]["documentation"] == "projected gradient descent in an linf, l2 or l1 ball"
    names = editor.completions("title: a spec\nattacks:\n  mine:\n    use: |\n")
    assert {"pgd", "square"} <= names.keys()


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("attacks:\n  pgd:\n    norm: |\n", {"linf", "l2", "l1"}),
        ("defences:\n  standard:\n    schedule: |\n", {"constant", "cosine", "milestones"}),
        ("defences:\n  standard:\n    flip: |\n", {"true", "false"}),
        ("precision: |\n", {"float32", "bfloat16", "auto"}),
        ("train:\n  - dataset: digits\n    |\n", {"model", "defence", "measures"}),
        ("attacks:\n  pgd:\n    eps:\n      |\n", {"sweep"}),
        ("attacks:\n  pgd:\n    before:\n      use: |\n", {"random_rotation", "fixed_shift"}),
    ],
)
def test_values_and_keys_are_offered(editor: Editor, text: str, values: set[str]) -> None:
    assert values <= editor.completions(f"title: a spec\n{text}").keys()


def test_hovering_over_a_field_shows_meaning_unit_limits_and_default(editor: Editor) -> None:
    shown = editor.hover(SPEC.replace("eps: 8/255", "e|ps: 8/255"))
    assert "attack pgd" in shown
    assert "radius of the ball, in units of eps_space (pixels in [0, 1])" in shown
    assert "number ≥ 0, default 0.3" in shown


def test_hovering_over_a_label_shows_the_method_and_its_paper(editor: Editor) -> None:
    shown = editor.hover(SPEC.replace("pgd: {", "p|gd: {"))
    assert "projected gradient descent in an linf, l2 or l1 ball" in shown
    assert "Towards Deep Learning Models Resistant to Adversarial Attacks" in shown


def test_hovering_over_a_key_of_an_entry_shows_its_meaning(editor: Editor) -> None:
    text = SPEC.replace("eps: 8/255", "sam|ple: {limit: 3}")
    assert "images or pairs that are attacked" in editor.hover(text)
