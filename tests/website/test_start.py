"""The first page: its commands are those of CI, and it shows what the quickstart prints."""

from __future__ import annotations

from pathlib import Path

import pytest
from site_pages import ROOT, page, without_numbers
from workbench import call, command

BLOCKS = page("start")


def test_its_commands_run_a_spec_that_is_valid_and_the_tests_that_ci_runs() -> None:
    first, second = (
        line.words for block in BLOCKS if block.language == "sh" for line in block.commands
    )
    assert first[:2] == ["invspec", "run"]
    assert call("validate", ROOT / first[2]) == 0
    assert f"\nuv run {' '.join(second)}\n" in (ROOT / ".ci" / "run").read_text()


def test_the_first_spec_of_the_reference_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = page("spec")[0].text
    monkeypatch.chdir(tmp_path)
    Path("spec.yaml").write_text(text, encoding="utf-8")
    assert call("run", "spec.yaml", "--smoke", "--scale", "laptop", "--workers", 1) == 0


@pytest.mark.slow
def test_the_page_shows_what_the_quickstart_prints(tmp_path: Path) -> None:
    (shown,) = [block.text for block in BLOCKS if block.language == "text"]
    ran = command("run", ROOT / "specs" / "quickstart.yaml", "--store", tmp_path, COLUMNS="80")
    assert ran.returncode == 0, ran.stderr
    printed = set(map(without_numbers, ran.stdout.splitlines()))
    lines = [line for line in shown.splitlines() if line.strip() not in ("", "...")]
    # the page's path, the versions and the times differ from run to run
    others = [line for line in lines if without_numbers(line) not in printed]
    assert [line for line in others if "page:" not in line] == []
