"""What a release is made of: its versions agree, and images are built as they should be."""

from __future__ import annotations

import datetime
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from packaging.requirements import Requirement
from workbench import ROOT

from invspec import __version__

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
CHANGELOG = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
CITATION: dict[str, Any] = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
IMAGES = ("Dockerfile", "Dockerfile.cuda")
# the sections that Keep a Changelog knows, and ours
SECTIONS = {
    *("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"),
    "Known limits",
}


def released() -> list[tuple[str, str]]:
    """The versions of the changelog with their dates, the newest first."""
    return re.findall(r"^## \[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)$", CHANGELOG, re.M)


def test_the_version_is_the_same_everywhere() -> None:
    version, date = released()[0]
    assert {__version__, PROJECT["project"]["version"], CITATION["version"], version} == {version}
    assert str(CITATION["date-released"]) == date
    assert datetime.date.fromisoformat(date)
    for image in IMAGES:
        assert f'image.version="{version}"' in (ROOT / image).read_text()


def test_the_changelog_has_an_open_section_and_known_headings() -> None:
    headings = re.findall(r"^## (.*)$", CHANGELOG, re.M)
    assert headings[0] == "[Unreleased]"
    assert [heading.partition("]")[0][1:] for heading in headings[1:]] == [v for v, _ in released()]
    assert set(re.findall(r"^### (.*)$", CHANGELOG, re.M)) <= SECTIONS


def test_the_citation_has_what_its_format_requires() -> None:
    required = {"cff-version", "message", "title", "authors"}
    assert required <= set(CITATION)
    assert CITATION["cff-version"] == "1.2.0"
    assert CITATION["type"] == "software"
    assert all(author.get("name") or author.get("family-names") for author in CITATION["authors"])
    assert PROJECT["project"]["license"] == CITATION["license"]
    assert PROJECT["project"]["keywords"] == CITATION["keywords"]


# ─ the wheel ─


def test_the_wheel_has_the_registry_and_the_specs() -> None:
    """`.ci/wheel` builds it and compares every file; `shipped` looks for them there."""
    wheel = PROJECT["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert wheel["packages"] == ["invspec"]
    assert wheel["force-include"] == {"registry": "invspec/_registry", "specs": "invspec/_specs"}


def test_ci_runs_the_wheel_and_the_oldest_versions() -> None:
    for script, caller in (("wheel", "run"), ("oldest", "nightly")):
        assert f"\n.ci/{script}\n" in (ROOT / ".ci" / caller).read_text()
        path = ROOT / ".ci" / script
        assert path.stat().st_mode & 0o111, f"{path} is not executable"
        subprocess.run(["bash", "-n", path], check=True)


def test_every_dependency_has_a_floor() -> None:
    """What `.ci/oldest` installs is the least that each allows."""
    extras = PROJECT["project"]["optional-dependencies"].values()
    for text in [
        *PROJECT["project"]["dependencies"],
        *(item for extra in extras for item in extra),
    ]:
        operators = {specifier.operator for specifier in Requirement(text).specifier}
        assert ">=" in operators, text
        assert operators <= {">=", "<"}, text


# ─ images ─


def instructions(image: str) -> list[tuple[str, str]]:
    """The instructions of a Dockerfile with their arguments."""
    lines = (ROOT / image).read_text(encoding="utf-8").splitlines()
    text = "\n".join(line for line in lines if not line.startswith("#")).replace("\\\n", " ")
    split = (line.partition(" ") for line in text.splitlines() if line.strip())
    return [(name, " ".join(arguments.split())) for name, _, arguments in split]


def arguments(image: str, name: str) -> list[str]:
    return [words for instruction, words in instructions(image) if instruction == name]


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_starts_from_one_exact_version_of_python(image: str) -> None:
    bases = [base.partition(" AS ")[0] for base in arguments(image, "FROM")]
    assert len(set(bases)) == 1
    version = re.fullmatch(r"python:(\d+)\.(\d+)\.\d+-slim-\w+", bases[0])
    assert version
    assert (int(version[1]), int(version[2])) >= (3, 11)


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_installs_the_wheel_beside_the_torch_that_is_tested(image: str) -> None:
    installs = [words for words in arguments(image, "RUN") if "pip install" in words]
    assert installs[-1].endswith("pip install --no-cache-dir /wheels/*.whl")
    pinned = PROJECT["tool"]["uv"]["constraint-dependencies"]
    assert installs[0].endswith(" ".join(["--no-cache-dir", *pinned]))


@pytest.mark.parametrize("image", IMAGES)
def test_what_an_image_copies_is_what_the_wheel_is_built_from(image: str) -> None:
    copied = {
        word
        for words in arguments(image, "COPY")
        if not words.startswith("--from")
        for word in words.split()[:-1]
    }
    assert copied == {"pyproject.toml", "README.md", "LICENSE", "invspec", "registry", "specs"}
    assert all((ROOT / name).exists() for name in copied)
    kept = (ROOT / ".dockerignore").read_text().split("*\n", 1)[1]
    assert {line[1:] for line in kept.splitlines() if line.startswith("!")} == copied


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_runs_invspec_as_a_user_without_rights(image: str) -> None:
    (user,) = arguments(image, "USER")
    assert any(f"useradd --create-home --uid {user} " in words for words in arguments(image, "RUN"))
    assert arguments(image, "ENTRYPOINT") == ['["invspec"]']
    order = [name for name, _ in instructions(image)]
    assert order.index("USER") > max(place for place, name in enumerate(order) if name == "RUN")


@pytest.mark.parametrize("image", IMAGES)
def test_an_image_keeps_data_and_results_outside(image: str) -> None:
    (settings,) = arguments(image, "ENV")
    assert {"INVSPEC_DATA=/data", "INVSPEC_STORE=/work/store"} <= set(settings.split())
    assert arguments(image, "VOLUME") == ['["/work", "/data"]']


def test_only_the_image_for_gpus_asks_for_them() -> None:
    asks = {image: "NVIDIA_VISIBLE_DEVICES=all" in (ROOT / image).read_text() for image in IMAGES}
    assert asks == {"Dockerfile": False, "Dockerfile.cuda": True}


@pytest.mark.parametrize("image", IMAGES)
def test_hadolint_has_nothing_to_say(image: str) -> None:
    folders = f"{Path(sys.executable).parent}"
    hadolint = shutil.which("hadolint", path=folders) or shutil.which("hadolint")
    if hadolint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([hadolint, ROOT / image], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")
