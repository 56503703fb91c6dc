"""The benchmark of a GPU runs on a CPU, and its findings can fail."""

from __future__ import annotations

import importlib
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from workbench import ROOT, environment

from invspec.datasets.fake import Fake
from invspec.models.unet import UNet
from invspec.plan import planner
from invspec.spec import overlay
from invspec.tasks import Train

BENCHMARKS = ROOT / "benchmarks"
SECTIONS = {"draws", "bits", "agreement", "PGD", "CCAT", "throughput"}


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module("findings")


def test_a_number_beyond_its_limit_fails(findings: Any) -> None:
    held = [findings.at_most("a", "b", value, 0.5).holds for value in (0.5, 0.6, float("nan"))]
    assert held == [True, False, False]


def test_a_section_that_raises_fails_alone(findings: Any) -> None:
    def broken() -> Iterator[Any]:
        yield findings.equal("broken", "first", True)
        raise RuntimeError("trouble")

    found = findings.collected({"broken": broken, "next": lambda: []}, seconds=60)
    assert [(f.section, f.name, f.holds) for f in found] == [
        ("broken", "first", True),
        ("broken", "stopped", False),
        ("broken", "duration", None),
        ("next", "duration", None),
    ]


def test_what_would_come_late_is_left_out_and_said(findings: Any) -> None:
    found = findings.collected({"late": lambda: [findings.equal("late", "a", True)]}, seconds=-1)
    assert [f.name for f in found] == ["the rest", "duration"]


def test_no_benchmark_hides_a_package_that_torch_imports() -> None:
    assert not (BENCHMARKS / "cuda.py").exists()


@pytest.mark.slow
def test_the_benchmark_of_a_gpu_runs_on_a_cpu(tmp_path: Path) -> None:
    out = tmp_path / "gpu.json"
    call = [sys.executable, str(BENCHMARKS / "gpu.py"), "--quick", "--out", str(out)]
    ran = subprocess.run(call, capture_output=True, text=True, timeout=300, env=environment())
    assert ran.returncode == 0, ran.stdout + ran.stderr
    found = json.loads(out.read_text())["findings"]
    assert {finding["section"] for finding in found} == SECTIONS
    assert [finding for finding in found if finding["holds"] is False] == []
    assert {finding["name"] for finding in found if finding["section"] == "bits"} >= {
        "two runs",
        "killed and resumed",
    }


@pytest.mark.slow
def test_the_benchmark_of_reports_fills_a_store_and_finds_all_of_it(tmp_path: Path) -> None:
    script = [sys.executable, str(BENCHMARKS / "reporting.py"), "--store", str(tmp_path / "store")]
    ran = subprocess.run(
        [*script, "--cells", "200"], capture_output=True, text=True, timeout=300, env=environment()
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert [line.split(":")[0] for line in ran.stdout.splitlines()] == [
        "200 cells",
        "200 other cells",
    ]


COUNTED = """\
title: toy
seeds: [0, 1]
datasets: {digits: {}}
models: {linear: {}}
defences: {standard: {epochs: 3, batch_size: 100}}
attacks: {pgd: {eps: 0.1, steps: 7, sample: {limit: 50}}}
measures: {accuracy: {of: pgd}}
train: [{dataset: digits, model: linear, defence: standard}]
"""


def test_operations_of_a_linear_net_are_its_weights_times_its_passes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    operations = importlib.import_module("operations")
    path = tmp_path / "toy.yaml"
    path.write_text(COUNTED)
    plan = planner.plan(overlay.load(path))
    ((net, (training, attacks)),) = operations.costs(plan, images=1).items()
    dataset = next(task.dataset for task in plan.tasks if isinstance(task, Train))
    # a product and a sum for each weight, three times with the gradient, for both seeds
    visit = 2 * 3 * math.prod(dataset.shape) * dataset.classes * 2
    assert net == "digits, linear, standard"
    assert training.operations == visit * dataset.count("train") * 3
    assert attacks.operations == visit * 50 * 7
    assert training.launches > attacks.launches > 0


def test_a_pass_of_a_generator_reads_a_pair(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(BENCHMARKS)
    operations = importlib.import_module("operations")
    # two convolutions of 3 x 3 on 8 x 8 pixels, from a source and a target, and the last one
    weights = 9 * (2 * 4 + 4 * 4 + 4 * 1)
    cost = operations.forward(UNet(widths=(4,)), Fake(shape=(1, 8, 8), classes=3))
    assert cost.operations == 2 * 64 * weights
