"""Every block of every page is valid: specs for the planner, commands for the command line."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import click
import pytest
import typer
import yaml
from frame import framed
from site_pages import BLOCKS, ROOT, RUN, Block, blocks, is_spec

from invspec.cli.app import app
from invspec.errors import InvspecError
from invspec.plan import planner, validation
from invspec.registry import cards
from invspec.registry.cards import KINDS, Card
from invspec.spec import extend, overlay
from invspec.spec.schema import Claim, Layout

# programs that tests do not start, each with its reason
NOT_RUN = {
    ".ci/oldest": "the nightly CI itself",
    ".ci/wheel": "CI itself",
    "cp": "copies a store, which the test of its page does in Python",
    "pip": "installs an extra",
    ".ci/cpus": "CI itself",
    ".ci/nightly": "CI itself",
    ".ci/run": "CI itself",
    "echo": "a part of a recipe for MPS, which needs a GPU",
    "export": "sets the environment of a GPU's daemon",
    "mkdir": "a part of a recipe for MPS, which needs a GPU",
    "mkdocs": "CI builds the site",
    "nvidia-cuda-mps-control": "needs a GPU",
    "pytest": "CI runs it",
    "python": "a benchmark; that its file is there is checked",
    "ray": "needs a cluster; tests/execution starts one where it can",
    "uvx": "installs hooks",
}
# specs of which only a part is printed, and manifests that other tools read
ELSEWHERE = {"docs/ray.md": "the manifest for KubeRay: tests/test_docs.py"}
# lua: the settings of an editor; tex: a paper, which tests/test_how_to.py compiles
LANGUAGES = {"sh", "text", "yaml", "python", "json", "lua", "tex"}


def test_every_block_names_its_language() -> None:
    assert [str(block) for block in BLOCKS if block.language not in LANGUAGES] == []


# ─ YAML ─────────────────────────────────────────────────────────────────────────────────────────


def validated(values: dict[str, Any], folder: Path) -> None:
    """Refuse a spec as `invspec validate` does. The file is written where paths in it start."""
    spec = folder / "spec.yaml"
    spec.write_text(yaml.safe_dump(values, sort_keys=False), encoding="utf-8")
    for scale in (None, *extend.read(spec).values.get("scales", ())):
        # as if all nets were in the store, so that no file of weights is needed
        try:
            validation.check(planner.plan(overlay.load(spec, scale)), lambda train: True)
        except InvspecError as problem:
            if any("pip install" in part.hint for part in problem.problems):
                pytest.skip(str(problem))
            raise


PAGES_THAT_RUN = {f"docs/{name}.md" for name in RUN}
CHECKED = [block for block in blocks("yaml") if block.page not in {*ELSEWHERE, *PAGES_THAT_RUN}]


@pytest.mark.parametrize("block", CHECKED, ids=str)
def test_yaml_is_a_card_a_spec_a_part_of_a_spec_or_a_list_of_claims(
    block: Block, tmp_path: Path, own_methods: Path
) -> None:
    values = yaml.safe_load(block.text.replace("sha256: ...", f"sha256: {'f' * 64}"))
    kind = Path(block.path or "").parent.name
    if values is None:
        assert block.text.startswith("# yaml-language-server: $schema=")
    elif kind in KINDS:
        assert isinstance(cards._read_as(Card, values, str(block)), Card)
    elif kind == "workflows":
        assert values["jobs"]
    elif isinstance(values, list):
        assert all(Claim.model_validate(claim).says for claim in values)
    elif set(values) == {"report"} and "published" in block.text:
        assert all(Layout.model_validate(layout).published for layout in values["report"])
    else:
        validated(values if "title" in values else framed(values), tmp_path)


@pytest.mark.parametrize("block", blocks("json"), ids=str)
def test_json_can_be_read(block: Block) -> None:
    assert json.loads(block.text)


# ─ commands ─────────────────────────────────────────────────────────────────────────────────────


COMMANDS = [
    pytest.param(block, command.words, id=f"{block} {' '.join(command.words)}")
    for block in blocks("sh")
    for command in block.commands
]


@pytest.mark.parametrize(("block", "words"), COMMANDS)
def test_a_command_is_one_of_invspec_with_options_that_it_takes_or_is_known(
    block: Block, words: list[str]
) -> None:
    program, *arguments = words
    if program != "invspec":
        assert program in NOT_RUN, f"say in NOT_RUN why {program} is not run"
        if program == "python" and arguments[0] == "-m":
            assert importlib.util.find_spec(arguments[1]) is not None
        elif program == "python":
            assert (ROOT / arguments[0]).is_file()
        return
    context = parsed(arguments)
    for word in context.params.get("specs") or [context.params.get("spec")]:
        if word is not None and not word.endswith(".json"):
            assert is_spec(word, block), f"no spec is named {word}"


def parsed(arguments: list[str]) -> click.Context:
    """The context of a command, whose arguments click has read. Nothing runs."""
    command: Any = typer.main.get_command(app)
    context = click.Context(command, info_name="invspec")
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)
        assert command is not None
        context = command.make_context(name, arguments, parent=context)
        arguments = [*context.protected_args, *context.args]
    return context
