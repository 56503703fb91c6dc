"""What Tab offers: commands, specs, scales, paths of settings, kinds and methods."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from workbench import command, tiny, written

from invspec.cli import app

Offered = Callable[..., list[str]]


@pytest.fixture
def offered(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Offered:
    """What bash is told to offer after some words and the beginning of another."""

    def completed(*words: str, incomplete: str = "") -> list[str]:
        monkeypatch.setenv("_INVSPEC_COMPLETE", "complete_bash")
        monkeypatch.setenv("COMP_WORDS", " ".join(["invspec", *words, incomplete]))
        monkeypatch.setenv("COMP_CWORD", str(len(words) + 1))
        capsys.readouterr()
        with suppress(SystemExit):
            app.app(prog_name="invspec")
        return capsys.readouterr().out.split()

    return completed


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    written(tmp_path, tiny(scales={"laptop": {}, "large": {}}), "mine")
    (tmp_path / "broken.yaml").write_text("title: [")


def test_commands(offered: Offered) -> None:
    assert {"run", "report", "validate", "list", "store"} <= {*offered()}
    assert offered(incomplete="re") == ["report", "reproduce"]


def test_specs_by_name_and_by_path(offered: Offered) -> None:
    assert offered("run", incomplete="kamath_t") == ["kamath_theorem1", "kamath_tradeoff"]
    assert offered("report", incomplete="m") == ["mine.yaml"]
    assert "broken.yaml" in offered("validate", "mine.yaml")


def test_scales_of_the_spec(offered: Offered) -> None:
    assert offered("run", "mine.yaml", "--scale", incomplete="la") == ["laptop", "large"]
    assert {"laptop", "h100"} <= {*offered("plan", "kamath_tradeoff", "--scale")}
    assert offered("run", "broken.yaml", "--scale") == []
    assert offered("run", "nothing.yaml", "--scale") == []


def test_paths_of_settings(offered: Offered) -> None:
    assert offered("run", "mine.yaml", "--set", incomplete="attacks.") == ["attacks.shift.by="]
    assert "datasets.fake.train=" in offered("run", "mine.yaml", "--set")
    # those of files that it extends, and sweeps as wholes
    shared = offered("run", "kamath_tradeoff", "--set", incomplete="defences.")
    assert "defences.rotations.max_degrees=" in shared
    assert "defences.madry.attack.eps=" in shared


def test_kinds_and_methods(offered: Offered) -> None:
    assert offered("list", incomplete="d") == ["dataset", "defence"]
    assert "pgd" in offered("list", "attack", incomplete="pg")
    assert offered("list", "nothing") == []


def test_a_folder_of_own_cards_may_be_named_by_the_environment(tmp_path: Path) -> None:
    for folder in ("one", "two"):
        cards = tmp_path / folder / "model"
        cards.mkdir(parents=True)
        card = "target: invspec.models.linear:Linear\nsummary: from {}\n"
        (cards / f"{folder}_net.yaml").write_text(card.format(folder))
    done = command("list", "model", INVSPEC_REGISTRY=f"{tmp_path / 'one'}:{tmp_path / 'two'}")
    assert done.returncode == 0, done.stderr
    assert "one_net" in done.stdout
    assert "two_net" in done.stdout
