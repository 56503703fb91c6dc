"""What a command does not need, it does not import: these take seconds together."""

import json
import subprocess
import sys

import pytest
from imports import ROOT
from workbench import TOYS, call, registered, tiny, written

SLOW = {"matplotlib", "pyarrow", "scipy.stats", "sklearn", "sympy", "triton"}
PROGRAM = """
import json, sys
from invspec.cli.app import main
try:
    main(sys.argv[1:])
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted(sys.modules)))
"""


def imported(*arguments: object) -> set[str]:
    """The modules of a process that runs a command."""
    command = [sys.executable, "-c", PROGRAM, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ("validate", ROOT / "specs" / "quickstart.yaml"),
        ("plan", ROOT / "specs" / "quickstart.yaml"),
    ],
    ids=["validate", "plan"],
)
def test_a_plan_imports_neither_what_computes_nor_what_draws(arguments, tmp_path, monkeypatch):
    store = tmp_path / "store"
    store.mkdir()
    monkeypatch.setenv("INVSPEC_STORE", str(store))
    modules = imported(*arguments)
    # the methods that the spec names need it
    assert "torch" in modules
    assert modules & SLOW == set()


def test_with_nothing_to_do_neither_a_run_nor_a_report_imports_what_draws(tmp_path, monkeypatch):
    monkeypatch.setenv("INVSPEC_STORE", str(tmp_path / "store"))
    spec = written(tmp_path, tiny())
    with registered():
        assert call("run", spec, "--devices", "cpu") == 0
    for command in ("run", "report"):
        modules = imported(command, spec, "--registry", TOYS)
        assert "torch" in modules
        assert modules & SLOW == set()


def test_help_needs_no_torch():
    assert "torch" not in imported("--help")
