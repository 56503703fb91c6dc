"""Reading programs written by torch.export, after checking that their only code is a graph."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch

from invspec.errors import InvspecError, first_line

# The graph, and the sample inputs that torch.export saves with it.
MODEL, INPUTS = "models/model.json", "data/sample_inputs/model.pt"

# Which file holds which weight or constant, and in which format.
CONFIG = "data/{0}/model_{0}_config.json"

# The names of all members that are not code.
SAFE = re.compile(
    r"archive_format|archive_version|version|byteorder|\.data/.*|extra/.*"
    rf"|{re.escape(MODEL)}|{re.escape(INPUTS)}"
    r"|data/weights/(model_weights_config\.json|weight_\d+)"
    r"|data/constants/(model_constants_config\.json|tensor_\d+)"
)


def load_program(content: bytes, path: Path) -> Any:
    """The program in the bytes of a file.

    Raises: InvspecError if there is none, or if it has pickled or compiled parts.
    """
    # Importing torch.export takes a second, so it is imported only where it is needed.
    import torch.export

    try:
        members = _members(content)
        unsafe = _unsafe_member(members)
        if unsafe is None:
            with _logged_errors_raised("torch.export"):
                return torch.export.load(_archive(members))
    # Damaged bytes can raise anything, depending on the step that meets them.
    except Exception as problem:
        raise InvspecError(
            f"{path} cannot be loaded as a program: {first_line(problem)}",
            hint="expected a file written by torch.export.save of this version of torch",
        ) from None
    raise InvspecError(
        f"{path} contains {unsafe}, which could run any code",
        hint="export a net of plain tensors with torch.export.save of this version of torch",
    )


def _members(content: bytes) -> dict[str, bytes]:
    """The members of an archive, by their names inside its one folder.

    Raises: ValueError if two readers could see different members, BadZipFile and the like if the
    archive is damaged.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        if twice := sorted(name for name, times in Counter(names).items() if times > 1):
            raise ValueError(f"duplicate entry {twice[0]}")
        parts = [name.partition("/") for name in names]
        if len({root for root, _, _ in parts}) != 1 or not all(inside for _, _, inside in parts):
            raise ValueError("expected one folder of files at the top of the archive")
        return {
            inside: archive.read(name) for name, (_, _, inside) in zip(names, parts, strict=True)
        }


def _archive(members: Mapping[str, bytes]) -> BytesIO:
    """A new archive of the members, so that torch loads exactly what was checked."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"program/{name}", content)
    file.seek(0)
    return file


def _unsafe_member(members: Mapping[str, bytes]) -> str | None:
    """The first member that is neither a graph nor a plain tensor, or None.

    Raises: ValueError, KeyError and the like if torch.export did not write the archive.
    """
    if MODEL not in members:
        raise ValueError(f"the archive has no {MODEL}")
    if unknown := sorted(name for name in members if not SAFE.fullmatch(name)):
        return unknown[0]
    for part, prefix in (("weights", "weight_"), ("constants", "tensor_")):
        for name, entry in json.loads(members[CONFIG.format(part)])["config"].items():
            if entry["use_pickle"] or not entry["path_name"].startswith(prefix):
                return f"{name} as a pickle"
    # If this fails, torch.export would retry without weights_only.
    torch.load(BytesIO(members[INPUTS]), weights_only=True)
    return None


@contextmanager
def _logged_errors_raised(name: str) -> Generator[None]:
    """Raise exceptions that a logger would only log, and log nothing."""

    def raise_logged(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]
        return False

    logger = logging.getLogger(name)
    logger.addFilter(raise_logged)
    try:
        yield
    finally:
        logger.removeFilter(raise_logged)
