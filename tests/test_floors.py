"""Imports point down, and answers that need no torch do not wait for it."""

from __future__ import annotations

import ast
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[1] / "invspec"
GROUND = (
    ("errors",),
    ("cards", "kinds"),
    ("data", "ops"),
    ("pairs", "registry"),
)  # floors, the lowest first
MACHINERY = (
    ("bits", "document"),
    ("spec", "tasks"),
    ("plan", "store", "schema", "catalogue"),
    ("claims", "executors", "report"),
    ("listing",),
    ("session",),
    ("cli",),
)
METHODS = (("datasets", "models", "attacks"), ("defences", "measures"))


def rooms(tower: tuple[tuple[str, ...], ...]) -> set[str]:
    return {room for floor in tower for room in floor}


def allowed(room: str) -> set[str]:
    """What may be imported there: its own floor, those below it in its tower, and the ground."""
    for tower in (GROUND, GROUND + MACHINERY, GROUND + METHODS):
        for height, floor in enumerate(tower, 1):
            if room in floor:
                return rooms(tower[:height])
    raise AssertionError(f"{room} has no floor")


def modules() -> list[Path]:
    return sorted(
        path.relative_to(PACKAGE) for path in PACKAGE.rglob("*.py") if path.name != "__init__.py"
    )


def room_of(path: Path) -> str:
    return path.parts[0].removesuffix(".py")


def imports(path: Path, types: bool) -> Iterator[str]:
    """Every module that a file names in an import, also inside functions: "invspec.kinds", "torch"."""
    tree = ast.parse((PACKAGE / path).read_text(encoding="utf-8"))
    for_types = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
    ]
    left_out = (
        set()
        if types
        else {below for node in for_types for part in node.body for below in ast.walk(part)}
    )
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and node not in left_out:
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node not in left_out:
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def rooms_imported_by(path: Path, types: bool = True) -> set[str]:
    return {name.split(".")[1] for name in imports(path, types) if name.startswith("invspec.")} - {
        "__version__"
    }


def test_every_module_has_a_floor() -> None:
    assert {room_of(path) for path in modules()} == rooms(GROUND + MACHINERY + METHODS)


@pytest.mark.parametrize("path", modules(), ids=str)
def test_imports_point_down(path: Path) -> None:
    assert rooms_imported_by(path, types=False) <= allowed(room_of(path))


@pytest.mark.parametrize("path", modules(), ids=str)
def test_machinery_and_methods_meet_only_in_the_registry(path: Path) -> None:
    room = room_of(path)
    beyond = (
        MACHINERY
        if room in rooms(METHODS)
        else METHODS
        if room in rooms(MACHINERY)
        else MACHINERY + METHODS
    )
    assert not rooms_imported_by(path) & rooms(beyond)


@pytest.mark.parametrize(
    "name", ["errors", "cards", "kinds", "registry", "document", "spec", "cli", "catalogue"]
)
def test_what_reads_imports_torch_at_most_inside_functions(name: str) -> None:
    tree = ast.parse((PACKAGE / f"{name}.py").read_text(encoding="utf-8"))
    top = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    assert not [ast.unparse(node) for node in top if "torch" in ast.unparse(node)]


def loaded_by(*arguments: str) -> set[str]:
    """The modules that a command has imported when it ends."""
    code = f"""
import sys
from invspec import cli
try:
    cli.main({list(arguments)!r})
except SystemExit as ended:
    assert not ended.code, ended.code
sys.stdout = sys.stderr
print(*sys.modules)
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return set(ran.stderr.split())


@pytest.mark.parametrize(
    "arguments", [("--help",), ("run", "--help"), ("--version",), ("list",), ("list", "attack")]
)
def test_help_and_list_import_neither_torch_nor_any_method(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert {"invspec.cli", "typer"} <= loaded  # the list is one
    assert not loaded & {
        "torch",
        "numpy",
        "scipy",
        "sklearn",
        "matplotlib",
        "pyarrow",
        "invspec.kinds",
        "invspec.spec",
    }
    assert not [
        name
        for name in loaded
        if name.startswith(tuple(f"invspec.{room}." for room in rooms(METHODS)))
    ]


def test_the_page_of_an_attack_imports_that_attack_and_no_dataset() -> None:
    loaded = loaded_by("list", "attack", "random_rotation")
    assert "invspec.attacks.random_rotation" in loaded
    assert not loaded & {
        "invspec.spec",
        "invspec.datasets.torchvision_images",
        "invspec.models.gcnn",
    }


RUN = "from invspec import cli; cli.main()"


@pytest.mark.slow
@pytest.mark.parametrize("arguments", [("--help",), ("list", "attack")])
def test_help_and_list_answer_at_once(arguments: tuple[str, ...]) -> None:
    def seconds() -> float:
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, check=True)
        return time.perf_counter() - began

    assert (
        statistics.median(seconds() for _ in range(5)) < 2
    )  # 0.3 s when the machine has nothing else to do
