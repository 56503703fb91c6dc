"""The pages of the site and their fenced blocks."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from workbench import ROOT

from invspec.registry.cards import shipped

DOCS = ROOT / "docs"
# those of docs/papers are written by `invspec report`, see tests/report/test_paper_pages.py
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)[^\n]*\n(?P<text>.*?)^ *```$", re.M | re.S)
NAMED = re.compile(r"# (\S+\.(?:py|yaml))\n")


# pages whose blocks run in their order, in test_pages_run.py
RUN = (
    "own-attack",
    "own-data",
    "own-net",
    "paper-table",
    "reading-the-store",
    "tutorial",
    "writing-a-claim",
)


@dataclass(frozen=True)
class Command:
    """A line of a shell block: its words, and what it sets in the environment before them."""

    words: list[str]
    settings: dict[str, str]

    @classmethod
    def read(cls, line: str) -> Command | None:
        """The command of a line, without `uv run`; None if it has none."""
        words, settings = shlex.split(line, comments=True), dict[str, str]()
        while words and (setting := re.fullmatch(r"([A-Z_]+)=(.*)", words[0])):
            settings[setting[1]] = setting[2]
            words.pop(0)
        if words[:2] == ["uv", "run"]:
            words = words[2:]
            while words[0] in ("--extra", "--group"):
                words = words[2:]
        return cls(words, settings) if words else None


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: str
    line: int
    language: str
    text: str

    def __str__(self) -> str:
        return f"{self.page}:{self.line}"

    @property
    def path(self) -> str | None:
        """The file that its first line names in a comment."""
        named = NAMED.match(self.text)
        return named and named[1]

    @property
    def values(self) -> Any:
        """What a block of YAML holds."""
        return yaml.safe_load(self.text)

    @property
    def commands(self) -> list[Command]:
        """The commands of a shell block."""
        lines = self.text.replace("\\\n", " ").splitlines()
        return [command for line in lines if (command := Command.read(line)) is not None]


def blocks_of(path: Path) -> list[Block]:
    """The fenced blocks of a page, in their order."""
    text = path.read_text(encoding="utf-8")
    name = path.relative_to(ROOT).as_posix()
    return [
        Block(name, text[: fence.start()].count("\n") + 1, fence["language"], fence["text"])
        for fence in FENCE.finditer(text)
    ]


BLOCKS = [block for path in PAGES for block in blocks_of(path)]


def blocks(language: str) -> list[Block]:
    """The blocks of all pages in a language."""
    return [block for block in BLOCKS if block.language == language]


def page(name: str) -> list[Block]:
    """The blocks of docs/NAME.md."""
    return [block for block in BLOCKS if block.page == f"docs/{name}.md"]


def is_spec(word: str, block: Block) -> bool:
    """Whether a word of a command is a shipped spec, or one that the page itself gives."""
    stem = Path(word).stem
    own = {other.path for other in BLOCKS if other.page == block.page}
    return word in own or (shipped("specs") / f"{stem}.yaml").is_file()


def without_numbers(line: str) -> str:
    """A line of output as it is on all processors, on which trainings end a little differently."""
    return re.sub(r"[\s─]+", " ", re.sub(r"(< )?\d[\d.,]*", "0", line)).strip()
