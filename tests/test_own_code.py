"""An edit of a user's own code changes the identity of what it makes, wherever the code lies."""

from __future__ import annotations

import importlib
import os
import shutil
from pathlib import Path
from typing import Any

import pytest
from registries import untouched

from invspec.registry import cards, methods

ATTACK = """\
from invspec.data import Perturbed
from invspec.kinds import Attack
{imports}

class Own(Attack):
    file: str = "none"
    def perturb(self, model, batch, rng):
        {body}
        return Perturbed.costing(batch.x, forwards=0, backwards=0)
"""


def write(root: Path, files: dict[str, str]) -> None:
    for name, text in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)


def attack(imports: str = "", body: str = "pass") -> str:
    return ATTACK.format(imports=imports, body=body)


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the registry `mine` and, on sys.path beside it, the folder `library`."""
    write(tmp_path, {"mine/attack/own.yaml": "target: own_code:Own\nsummary: mine\n"})
    (tmp_path / "library").mkdir()
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path / "data"))
    monkeypatch.syspath_prepend(tmp_path / "library")
    return tmp_path


def identity(work: Path, **fields: Any) -> dict[str, Any]:
    """What a new process would make of the folder."""
    importlib.invalidate_caches()
    with untouched(work):
        cards.add(work / "mine")
        return methods.make("attack", "own", fields).identity


# imports of the attack, its body, the other files, and the one that is edited
EDITS = {
    "its own file": ("", "pass", {}, "mine/own_code.py"),
    "a comment": ("", "pass", {"mine/helper.py": "# why\n"}, "mine/helper.py"),
    "a helper beside it": ("import helper", "pass", {"mine/helper.py": ""}, "mine/helper.py"),
    "a package below it": (
        "from package.inner import deep",
        "pass",
        {"mine/package/inner/__init__.py": "", "mine/package/inner/deep.py": "a = 1\n"},
        "mine/package/inner/deep.py",
    ),
    "a module elsewhere on sys.path": (
        "import elsewhere",
        "pass",
        {"library/elsewhere.py": "a = 1\n"},
        "library/elsewhere.py",
    ),
    "an import of an import": (
        "import first",
        "pass",
        {"library/first.py": "import second\n", "library/second.py": "a = 1\n"},
        "library/second.py",
    ),
    "a relative import in a package": (
        "from parts.first import a",
        "pass",
        {
            "library/parts/__init__.py": "",
            "library/parts/first.py": "from .inner.second import a\n",
            "library/parts/inner/__init__.py": "",
            "library/parts/inner/second.py": "from .. import third\na = third.a\n",
            "library/parts/third.py": "a = 1\n",
        },
        "library/parts/third.py",
    ),
    "the __init__ of a package": (
        "from parts import first",
        "pass",
        {"library/parts/__init__.py": "a = 1\n", "library/parts/first.py": ""},
        "library/parts/__init__.py",
    ),
    "a namespace package": (
        "import space.first",
        "pass",
        {"library/space/first.py": "a = 1\n"},
        "library/space/first.py",
    ),
    "an import in a function": (
        "",
        "import late",
        {"library/late.py": "a = 1\n"},
        "library/late.py",
    ),
    "an import by name": (
        "import importlib",
        "importlib.import_module('late')",
        {"library/late.py": "a = 1\n"},
        "library/late.py",
    ),
    "code that it executes": (
        "",
        "exec(open('script.py').read())",
        {"mine/script.py": "a = 1\n"},
        "mine/script.py",
    ),
    "a file that it names": (
        "from pathlib import Path",
        "(Path(__file__).parent / 'tables/kernel.json').read_text()",
        {"mine/tables/kernel.json": "[1]"},
        "mine/tables/kernel.json",
    ),
    "a file that a helper elsewhere names": (
        "import elsewhere",
        "pass",
        {"library/elsewhere.py": "NAME = 'kernel.npy'\n", "library/kernel.npy": "1"},
        "library/kernel.npy",
    ),
    "a file of the data folder": (
        "",
        "open('mask.bin')",
        {"data/mask.bin": "1"},
        "data/mask.bin",
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_changes_the_identity(work: Path, edit: str) -> None:
    imports, body, files, edited = EDITS[edit]
    write(work, {"mine/own_code.py": attack(imports, body), **files})
    before = identity(work)
    assert identity(work) == before
    (work / edited).write_text((work / edited).read_text() + "\n# edited\n")
    assert identity(work) != before


def test_a_file_that_the_code_names_by_its_absolute_path_is_read(work: Path) -> None:
    kernel = work / "shelf" / "kernel.npy"
    write(work, {"mine/own_code.py": attack("", f"open({str(kernel)!r})"), "shelf/kernel.npy": "1"})
    before = identity(work)
    kernel.write_text("2")
    assert identity(work) != before


BASE = """\
from invspec.kinds import Attack

class Base(Attack):
    def perturb(self, model, batch, rng):
        raise NotImplementedError
"""


@pytest.mark.parametrize("where", ["mine", "library"])
def test_an_edit_of_a_base_class_changes_the_identity(work: Path, where: str) -> None:
    own = "from bases import Base\nclass Own(Base): pass\n"
    write(work, {"mine/own_code.py": own, f"{where}/bases.py": BASE})
    before = identity(work)
    (work / where / "bases.py").write_text(BASE.replace("NotImplementedError", "ValueError"))
    assert identity(work) != before


def test_a_card_may_name_a_class_elsewhere_whose_helpers_count(work: Path) -> None:
    write(
        work,
        {
            "mine/attack/own.yaml": "target: shelf.attacks:Own\nsummary: mine\n",
            "library/shelf/__init__.py": "",
            "library/shelf/attacks.py": attack("from shelf.helper import a"),
            "library/shelf/helper.py": "a = 1\n",
        },
    )
    before = identity(work)
    write(work, {"library/shelf/helper.py": "a = 2\n"})
    assert identity(work) != before


def test_a_file_that_a_field_names_is_read(work: Path) -> None:
    write(work, {"mine/own_code.py": attack(), "data/kernel.npy": "1"})
    absent, before = identity(work, file="other.npy"), identity(work, file="kernel.npy")
    assert "reads" not in absent
    assert set(before["reads"]) == {"file"}
    write(work, {"data/kernel.npy": "2"})
    assert identity(work, file="kernel.npy")["reads"] != before["reads"]


def test_what_it_does_not_use_changes_nothing(work: Path) -> None:
    write(work, {"mine/own_code.py": attack("import torch, json, yaml"), "library/x.py": ""})
    before = identity(work)
    write(
        work,
        {
            "library/x.py": "a = 1\n",
            "mine/notes.txt": "a thought",
            "mine/.venv/lib.py": "a = 1\n",
            "mine/env/pyvenv.cfg": "",
            "mine/env/lib.py": "a = 1\n",
            "mine/__pycache__/own_code.cpython-312.pyc": "compiled",
        },
    )
    os.utime(work / "mine" / "own_code.py", ns=(1, 1))
    assert identity(work) == before


def test_the_identity_does_not_depend_on_where_the_folders_lie(
    work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {"mine/kernel.json": "[1]", "library/elsewhere.py": "a = 1\n"}
    write(work, {"mine/own_code.py": attack("import elsewhere", "open('kernel.json')"), **files})
    before = identity(work)
    moved = work / "moved"
    moved.mkdir()
    for name in ("mine", "library"):
        shutil.move(work / name, moved / name)
    monkeypatch.syspath_prepend(moved / "library")
    assert identity(moved) == before
    assert str(work) not in str(before)
