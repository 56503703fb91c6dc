"""Imports point down, methods stand alone, and answers that need no torch do not wait for it."""

from __future__ import annotations

import ast
import graphlib
import resource
import subprocess
import sys
from collections import defaultdict

import pytest
from imports import imports_in_functions, imports_of, modules, room_of

from invspec.registry.cards import KINDS, card, names

# floors, the lowest first; a room may import from lower floors of its tower and from the ground
GROUND = (
    ("errors", "cpu", "digests", "imports", "memory"),
    ("sources",),
    ("ops",),
    ("data",),
    ("kinds",),
    ("registry",),
)
CARDED = ("datasets", "models", "defences", "attacks", "measures", "checks")
METHODS = (
    ("layers",),
    ("files",),
    ("search", "flows", "equivariant", "corruptions"),
    ("perceptual",),
    ("training",),
    ("scoring", "diagnostics"),
    CARDED,
)
MACHINERY = (
    ("spec", "tasks"),
    ("plan",),
    ("perform",),
    ("execution",),
    ("analysis",),
    ("report",),
    ("cli",),
    ("api",),
)
# carded files that other carded files use on purpose: a method that is made of others
COMPOSED: dict[str, set[str]] = {
    "attacks.apgd": {"attacks.autoattack"},
    "attacks.fab": {"attacks.autoattack"},
    "attacks.null_step": {"measures.null_step_exactness"},
    "attacks.pgd": {"attacks.fgsm"},
    "attacks.square": {"attacks.autoattack", "checks.black_box"},
    "datasets.torchvision_images": {"datasets.human_invariance"},
}
MOST_COMPOSED = 6


def rooms(tower: tuple[tuple[str, ...], ...]) -> set[str]:
    return {room for floor in tower for room in floor}


def floor_of(room: str) -> int:
    """How high a room lies; the towers stand on the ground."""
    for tower in (GROUND, GROUND + METHODS, GROUND + MACHINERY):
        for height, floor in enumerate(tower):
            if room in floor:
                return height
    raise AssertionError(f"{room} has no floor")


def rooms_imported_by(module: str) -> set[str]:
    return {room_of(name) for name in imports_of(module)} - {room_of(module), ""}


def targets() -> set[str]:
    """The modules that cards name."""
    return {card(kind, name).target.split(":")[0] for kind in KINDS for name in names(kind)}


ROOMED = [module for module in modules() if room_of(module)]


def test_every_room_has_a_floor() -> None:
    assert {room_of(module) for module in ROOMED} == rooms(GROUND + MACHINERY + METHODS)


@pytest.mark.parametrize("module", ROOMED)
def test_imports_point_down(module: str) -> None:
    height = floor_of(room_of(module))
    upward = {room for room in rooms_imported_by(module) if floor_of(room) >= height}
    # carded rooms may use each other, but only as COMPOSED says
    assert not upward - (set(CARDED) if room_of(module) in CARDED else set())


@pytest.mark.parametrize("module", ROOMED)
def test_machinery_and_methods_meet_only_in_the_registry(module: str) -> None:
    room = room_of(module)
    if room in rooms(METHODS):
        assert not rooms_imported_by(module) & rooms(MACHINERY)
    else:
        assert not rooms_imported_by(module) & rooms(METHODS)


def test_there_is_no_circle_between_rooms() -> None:
    graph: dict[str, set[str]] = defaultdict(set)
    for module in ROOMED:
        room = "methods" if room_of(module) in CARDED else room_of(module)
        graph[room] |= {
            "methods" if other in CARDED else other for other in rooms_imported_by(module)
        }
    order = graphlib.TopologicalSorter(
        {room: others - {room} for room, others in graph.items()}
    ).static_order()
    assert set(order) == set(graph) | {other for others in graph.values() for other in others}


# what needs a library that takes half a second to import, which its one user often does without
SLOW = {"invspec.report.figures.kept": ["invspec.report.figures.draw"]}


@pytest.mark.parametrize("module", [module for module in ROOMED if room_of(module) != "cli"])
def test_no_function_imports_from_invspec_outside_the_cli(module: str) -> None:
    assert imports_in_functions(module) == SLOW.get(module, [])


# ─ methods stand alone ──────────────────────────────────────────────────────────────────────────


def test_every_file_in_a_method_folder_is_the_target_of_a_card() -> None:
    files = {module for module in ROOMED if room_of(module) in CARDED and module.count(".") == 2}
    assert files == targets()


def test_a_method_is_deleted_with_its_card() -> None:
    """Delete each carded file on paper: only methods made of it, which are listed, import it."""
    users: dict[str, set[str]] = defaultdict(set)
    for module in sorted(targets()):
        for name in imports_of(module) & targets():
            users[name].add(module)
    short = {
        name.removeprefix("invspec."): {user.removeprefix("invspec.") for user in modules_}
        for name, modules_ in users.items()
    }
    assert short == COMPOSED
    assert len(COMPOSED) <= MOST_COMPOSED


def test_no_shared_room_imports_a_carded_file() -> None:
    shared = [m for m in ROOMED if room_of(m) not in CARDED]
    assert [m for m in shared if imports_of(m) & targets()] == []


# ─ names ────────────────────────────────────────────────────────────────────────────────────────

FILLER = {
    *("found", "one", "each", "told", "left", "whole", "kept", "some", "asked"),
    *("given", "what", "rest", "shown"),
}


def test_a_variable_is_named_for_what_it_holds() -> None:
    assigned = [
        node.id
        for tree in modules().values()
        for node in ast.walk(tree)
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)
    ]
    filler = [name for name in assigned if name in FILLER]
    assert len(filler) < 0.005 * len(assigned), sorted(set(filler))


# ─ torch waits ──────────────────────────────────────────────────────────────────────────────────

TORCH_FREE = ("errors", "cpu", "sources", "kinds", "registry", "spec", "tasks", "cli")


@pytest.mark.parametrize("module", [m for m in ROOMED if room_of(m) in TORCH_FREE])
def test_what_reads_a_spec_imports_torch_at_most_inside_functions(module: str) -> None:
    top = [node for node in modules()[module].body if isinstance(node, ast.Import | ast.ImportFrom)]
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


HEAVY = {"torch", "numpy", "scipy", "sklearn", "matplotlib", "pyarrow"}


ANSWERS = [
    *[("--help",), ("run", "--help"), ("--version",)],
    *[("list",), ("list", "attack"), ("list", "attack", "pgd"), ("list", "ccat")],
]


@pytest.mark.parametrize("arguments", ANSWERS)
def test_help_and_list_import_neither_torch_nor_any_method(arguments: tuple[str, ...]) -> None:
    loaded = loaded_by(*arguments)
    assert {"invspec.cli", "typer"} <= loaded
    assert not loaded & {*HEAVY, "invspec.kinds", "invspec.spec"}
    methods = tuple(f"invspec.{room}." for room in rooms(METHODS))
    assert not [name for name in loaded if name.startswith(methods)]


def test_the_schema_imports_neither_torch_nor_any_method() -> None:
    loaded = loaded_by("schema")
    assert "invspec.spec.json_schema" in loaded
    assert not loaded & {*HEAVY, "invspec.kinds", "invspec.spec.schema"}


RUN = "from invspec import cli; cli.main()"


@pytest.mark.slow
@pytest.mark.parametrize(
    "arguments", [("--help",), ("list", "attack"), ("list", "attack", "pgd"), ("schema",)]
)
def test_help_list_and_schema_answer_at_once(arguments: tuple[str, ...]) -> None:
    def seconds() -> float:
        """Of a CPU: other work of the machine counts for nothing."""
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run([sys.executable, "-c", RUN, *arguments], capture_output=True, check=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    assert min(seconds() for _ in range(5)) < 0.5
