"""The modules of a user's own that a class is made of, found without running any code."""

from __future__ import annotations

import ast
import inspect
import sys
import sysconfig
from collections.abc import Iterator
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent
FOREIGN = ("site-packages", "dist-packages")


def behind(cls: type) -> dict[str, Path]:
    """The user's modules behind a class and its base classes, imports of imports too, by name."""
    modules: dict[str, Path] = {}
    names = [base.__module__ for base in inspect.getmro(cls)]
    while names:
        name = names.pop()
        if name in modules or (path := _own(name)) is None:
            continue
        modules[name] = path
        names += [*_parents(name), *_imported(path, _package(name, path))]
    return modules


def _own(name: str) -> Path | None:
    """The file of a module, None unless it is the user's."""
    if _is_foreign(name.partition(".")[0]):
        return None
    origin = _origin(name)
    return None if origin is None or _is_installed(origin) else origin


def _is_foreign(top: str) -> bool:
    """Whether a package is Python's, ours or installed, so that none of its modules is followed."""
    if not top or top in sys.stdlib_module_names or top == "invspec":
        return True
    origin = _origin(top)
    return origin is not None and _is_installed(origin)


def _origin(name: str) -> Path | None:
    """The file of a module, imported or not; None if there is none, as for a plain folder."""
    spec = getattr(sys.modules.get(name), "__spec__", None)
    if spec is None and (file := getattr(sys.modules.get(name), "__file__", None)):
        return Path(file).resolve()
    spec = spec or _found(name)
    return Path(spec.origin).resolve() if spec and spec.has_location and spec.origin else None


def _found(name: str) -> ModuleSpec | None:
    """Where a module would be imported from. Runs none of its packages."""
    above, _, _ = name.rpartition(".")
    if not above:
        return _spec_in(name, None)
    package = sys.modules.get(above)
    places = getattr(package, "__path__", None) or getattr(
        _found(above), "submodule_search_locations", None
    )
    return _spec_in(name, list(places)) if places else None


def _spec_in(name: str, places: list[str] | None) -> ModuleSpec | None:
    try:
        return PathFinder.find_spec(name, places)
    except (ImportError, ValueError, OSError):
        return None


def _is_installed(path: Path) -> bool:
    return (
        PACKAGE in path.parents
        or any(part in FOREIGN for part in path.parts)
        or any(place in path.parents for place in _python())
    )


@cache
def _python() -> tuple[Path, ...]:
    """The folders of Python's own library."""
    return tuple(Path(sysconfig.get_path(name)).resolve() for name in ("stdlib", "platstdlib"))


def _package(name: str, path: Path) -> str:
    """The package to which a module's relative imports refer."""
    return name if path.stem == "__init__" else name.rpartition(".")[0]


def _parents(name: str) -> Iterator[str]:
    """The packages around a module, whose __init__ runs before it."""
    while name := name.rpartition(".")[0]:
        yield name


def _imported(path: Path, package: str) -> Iterator[str]:
    """The names of everything that a module may import, at any place in its code."""
    for node in _nodes(path):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                base = _absolute(module or "", level, package)
                # a name may be a module, too
                yield from (base, *(f"{base}.{alias.name}" for alias in names))
            case ast.Call(ast.Attribute() | ast.Name(), [ast.Constant(str(name)), *_]):
                if _is_import(node.func):
                    yield _absolute(name.lstrip("."), len(name) - len(name.lstrip(".")), package)
            case _:
                pass


def _is_import(function: ast.expr) -> bool:
    """Whether a function is importlib.import_module or __import__, by its name."""
    return ast.unparse(function).rpartition(".")[2] in ("import_module", "__import__")


def _absolute(module: str, level: int, package: str) -> str:
    """The full name of a module that is imported with a number of leading dots."""
    if level:
        above = package.split(".")[: len(package.split(".")) - level + 1]
        return ".".join(filter(None, [*above, module]))
    return module


def texts(path: Path) -> Iterator[str]:
    """All texts in the code of a module."""
    for node in _nodes(path):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def _nodes(path: Path) -> Iterator[ast.AST]:
    """The syntax of a module; nothing for a compiled one."""
    if path.suffix != ".py":
        return
    try:
        yield from ast.walk(ast.parse(path.read_bytes()))
    except (SyntaxError, ValueError, OSError):
        return
