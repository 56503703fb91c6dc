"""What the modules of invspec import, read from their source."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "invspec"


@cache
def modules() -> dict[str, ast.Module]:
    """The tree of every module, by its dotted name; of a package, that of its `__init__`."""
    trees: dict[str, ast.Module] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
        trees[name] = ast.parse(path.read_text(encoding="utf-8"))
    return trees


def room_of(module: str) -> str:
    """The first part of a module's name below invspec; empty for invspec itself."""
    return module.split(".")[1] if "." in module else ""


def imported_by(node: ast.AST) -> Iterator[str]:
    """The modules of invspec that an import statement names."""
    if isinstance(node, ast.Import):
        yield from (alias.name for alias in node.names if alias.name.startswith("invspec"))
    elif isinstance(node, ast.ImportFrom):
        assert node.level == 0, "relative import"
        for alias in node.names if (node.module or "").startswith("invspec") else ():
            name = f"{node.module}.{alias.name}"
            yield name if name in modules() else str(node.module)


def imports_of(module: str) -> set[str]:
    """All modules of invspec that a module imports, also in functions and for type checking."""
    return {name for node in ast.walk(modules()[module]) for name in imported_by(node)} - {module}


def imports_in_functions(module: str) -> list[str]:
    """The modules of invspec that functions of a module import."""
    functions = (
        node
        for node in ast.walk(modules()[module])
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )
    return [
        name for function in functions for node in ast.walk(function) for name in imported_by(node)
    ]
