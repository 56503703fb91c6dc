"""What a result was computed with, as far as it can be known."""

import platform
import subprocess

import numpy as np
import pytest
import torch
import torchvision

from invspec.execution import surroundings
from invspec.execution.surroundings import begin_peak, is_edited, peak

CPU = torch.device("cpu")


def test_python_packages_cpu_and_system_are_named():
    facts = surroundings.facts()
    assert facts["python"] == platform.python_version()
    assert facts["numpy"] == np.__version__
    assert torchvision.__version__.startswith(facts["torchvision"].partition("+")[0])
    assert facts["cpu"]
    assert facts["os"]


def git(folder, *words):
    who = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def checkout(tmp_path):
    for name in ("invspec/a.py", "registry/a.yaml", "README.md"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("1")
    git(tmp_path, "init", "-q")
    git(tmp_path, "add", "-A")
    git(tmp_path, "commit", "-qm", "all")
    return tmp_path


@pytest.mark.parametrize("name", ["invspec/a.py", "registry/a.yaml"])
def test_a_checkout_with_changes_of_code_or_cards_is_edited(checkout, name):
    assert is_edited(checkout) is False
    (checkout / name).write_text("2")
    assert is_edited(checkout) is True


def test_changes_that_no_number_depends_on_do_not_count(checkout):
    (checkout / "README.md").write_text("2")
    (checkout / "notes.txt").write_text("2")
    assert is_edited(checkout) is False


def test_without_a_checkout_or_without_git_it_is_unknown(tmp_path, checkout, monkeypatch):
    assert is_edited(tmp_path / "nowhere") is None
    monkeypatch.setenv("PATH", "")
    assert is_edited(checkout) is None


def test_the_peak_is_that_of_the_task_and_not_of_the_process():
    begin_peak(CPU)
    before = peak(CPU)["peak_memory"]
    large = torch.ones(30_000_000)
    assert peak(CPU)["peak_memory"] - before > 100e6
    del large
    if surroundings.CLEAR.exists():
        begin_peak(CPU)
        assert peak(CPU)["peak_memory"] - before < 60e6


def test_where_the_peak_cannot_be_reset_it_is_that_of_the_process(tmp_path, monkeypatch):
    monkeypatch.setattr(surroundings, "CLEAR", tmp_path / "nowhere" / "clear")
    monkeypatch.setattr(surroundings, "STATUS", tmp_path / "nowhere")
    begin_peak(CPU)
    assert peak(CPU)["peak_memory"] > 10e6
