"""Users' own code: folders of methods, the modules that a class imports, and their digest.

The digest of a class covers
- all Python files of the registered folder around it (`--registry`), except in hidden folders and
  virtual environments;
- every further module of the user's that its module imports, directly or through others, wherever
  it lies on sys.path; installed packages are not the user's;
- every file that the code of these modules names in a text: by an absolute path, or where it lies
  beside the module, in the registered folder or in INVSPEC_DATA.

It depends on names and contents alone: not on where a folder lies, on times or on compiled files.
Does not import torch.
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from invspec import digests, imports

# Digests of the registered folders, in order of registration.
_digests: dict[Path, str] = {}
_generation = [0]


def add(folder: Path) -> None:
    """Register a folder of methods, before its import, with the current digest of its code."""
    _digests[folder] = digest_of(folder)
    _renew()


def remove(folder: Path) -> None:
    """Undo the registration of a folder."""
    _digests.pop(folder, None)
    _renew()


def _renew() -> None:
    _generation[0] += 1
    source_of.cache_clear()


def generation() -> int:
    """Number of changes to the folders; cached identities of methods are valid until the next."""
    return _generation[0]


def registered() -> Mapping[Path, str]:
    """The registered folders, in order of registration, and the digests of their code."""
    return dict(_digests)


def digest_of(folder: Path) -> str:
    """SHA-256 of the names and contents of all Python files below a folder, 64 hex digits."""
    sha256 = hashlib.sha256()
    for path in sorted(_python_files(folder)):
        content = path.read_bytes()
        sha256.update(f"{path.relative_to(folder).as_posix()} {len(content)}\n".encode() + content)
    return sha256.hexdigest()


def _python_files(folder: Path) -> Iterator[Path]:
    for parent, inner, files in os.walk(folder):
        inner[:] = [name for name in inner if not _is_foreign(Path(parent, name))]
        yield from (Path(parent, name) for name in files if name.endswith(".py"))


def _is_foreign(folder: Path) -> bool:
    """Whether a folder holds no code of the user's: it is hidden, or a virtual environment."""
    return folder.name.startswith(".") or (folder / "pyvenv.cfg").is_file()


@cache
def source_of(cls: type) -> dict[str, str]:
    """Module and digest of a class's code; empty for classes of invspec, which have versions."""
    if cls.__module__.split(".")[0] == "invspec":
        return {}
    try:
        file = Path(inspect.getfile(cls)).resolve()
    except (OSError, TypeError):
        # defined in an interpreter, so there is no file
        return {"module": cls.__module__}
    folder = next((folder for folder in _digests if folder in file.parents), None)
    main = _digests[folder] if folder else hashlib.sha256(file.read_bytes()).hexdigest()
    further = _further(cls, file, folder)
    return {"module": cls.__module__, "source": _joined(main, further) if further else main}


def _joined(main: str, further: Mapping[str, str]) -> str:
    lines = [main, *(f"{name!r} {digest}" for name, digest in sorted(further.items()))]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _further(cls: type, file: Path, folder: Path | None) -> dict[str, str]:
    """Digests of the modules and data files of a class that its main digest does not cover."""
    further: dict[str, str] = {}
    for name, path in imports.behind(cls).items():
        if path != file and not _is_in(path, folder):
            further[name] = digests.read(path)
        for text in imports.texts(path):
            data = _located(text, path.parent, folder)
            if data and not _is_in(data, folder):
                further[f"{name} reads {text}"] = digests.sha256(data)
    return further


def _is_in(path: Path, folder: Path | None) -> bool:
    """Whether a file is Python code in a registered folder, whose digest covers it."""
    return folder is not None and path.suffix == ".py" and folder in path.parents


def files_in(fields: Mapping[str, Any], cls: type) -> dict[str, str]:
    """SHA-256 of files that the fields of a user's own class name, by field.

    Not of absolute paths: a method may write there. One that reads such a file overrides `reads`.
    """
    if not source_of(cls).get("source"):
        return {}
    module = Path(inspect.getfile(cls)).resolve()
    folder = next((folder for folder in _digests if folder in module.parents), None)
    named = {
        name: _located(str(value), module.parent, folder)
        for name, value in fields.items()
        if isinstance(value, str | Path) and not os.path.isabs(value)
    }
    return {name: digests.sha256(path) for name, path in named.items() if path}


def _located(text: str, beside: Path, folder: Path | None) -> Path | None:
    """The file that a text names beside a module, in its registered folder or in the data."""
    data = os.environ.get("INVSPEC_DATA")
    for root in (beside, folder, Path(data) if data else None):
        # longer names, and those with a null, are no files
        if root and 0 < len(text) < 256 and "\0" not in text and os.path.isfile(root / text):
            return root / text
    return None
