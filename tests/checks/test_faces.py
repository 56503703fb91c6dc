"""One net behind ten faces, from its spec to the report: what misleads PGD convinces nobody."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from workbench import command, written

from invspec.datasets.digits import Digits
from invspec.ops.draws import Stream

REGISTRY = Path(__file__).parents[1] / "faces"
MISLEADING = ("logits x 1000", "T 0.01", "quantised", "softmax(50 z)", "detached", "one-hot")
FACES = ("plain", "T 1e6", "noise", "NaN", *MISLEADING)


def trained(file: Path) -> str:
    """A perceptron of two layers, trained on digits and saved; the SHA-256 of the file."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = [nn.Flatten(), nn.Linear(784, 64), nn.ReLU(), nn.Linear(64, 10)]
    net, data = nn.Sequential(*layers), Digits().load("train")
    optimiser = torch.optim.Adam(net.parameters(), 1e-2)
    for epoch in range(10):
        for batch in data.batches(64, Stream(f"epoch {epoch}")):
            optimiser.zero_grad()
            F.cross_entropy(net(batch.x), batch.y).backward()
            optimiser.step()
    torch.save({f"net.{name}": tensor for name, tensor in net.state_dict().items()}, file)
    return hashlib.sha256(file.read_bytes()).hexdigest()


def spec(file: Path) -> dict[str, Any]:
    def claim(face: str) -> dict[str, Any]:
        pick = {"measure": "robust", "at": {"net.face": face}}
        return {"says": face, "value": pick, "expect": {"value": {"above": 0.9}}}

    mlp = {"use": "pretrained", "file": str(file), "sha256": trained(file)}
    return {
        "title": "Faces",
        "datasets": {"digits": {}},
        "models": {"net": {"use": "face", "face": {"sweep": list(FACES)}}},
        "defences": {"mlp": mlp},
        "attacks": {
            "none": {"use": "identity"},
            "pgd": {"eps": 0.2, "steps": 40, "sample": {"limit": 128}},
        },
        "measures": {
            "clean": {"use": "accuracy", "of": "none"},
            "robust": {"use": "robust_accuracy", "of": "pgd"},
        },
        "train": [{"dataset": "digits", "model": "net", "defence": "mlp"}],
        "claims": [claim(face) for face in FACES],
    }


@dataclass(frozen=True)
class Shown:
    """What a run of the faces printed, and its report in three formats."""

    code: int
    terminal: str
    stderr: str
    rows: list[dict[str, str]]
    body: dict[str, Any]
    page: str

    def claim(self, face: str) -> dict[str, Any]:
        return next(claim for claim in self.body["claims"] if claim["says"] == face)

    def failed(self, face: str) -> set[str]:
        """The checks that a face fails."""
        records = self.body["health"]["checks"]
        own = (record for record in records if record["net"]["net.face"] == face)
        return {record["check"] for record in own if record["status"] == "fails"}

    def robust(self, face: str) -> dict[str, str]:
        is_its = {"net.face": face, "measure": "robust"}.items()
        return next(row for row in self.rows if is_its <= row.items())


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("faces")
    path = written(folder, spec(folder / "mlp.pth"), "faces")
    own = (str(path), "--registry", str(REGISTRY), "--store", str(folder / "store"))

    def invspec(verb: str, *options: str) -> subprocess.CompletedProcess[str]:
        return command(verb, *own, *options)

    ran = invspec("run", "--devices", "cpu")
    return Shown(
        ran.returncode,
        ran.stdout,
        ran.stderr,
        list(csv.DictReader(io.StringIO(invspec("report", "--format", "csv").stdout))),
        json.loads(invspec("report", "--format", "json").stdout),
        Path(invspec("report", "--format", "html").stdout.strip()).read_text(),
    )


pytestmark = pytest.mark.slow


def test_no_face_is_called_robust(shown: Shown) -> None:
    outcomes = {face: shown.claim(face)["outcome"] for face in FACES}
    assert outcomes == {
        **dict.fromkeys(MISLEADING, "undecided"),
        "plain": "fails",
        "T 1e6": "fails",
        "noise": "undecided",
        "NaN": "missing",
    }


@pytest.mark.parametrize("face", MISLEADING)
def test_a_face_that_misleads_pgd_is_in_doubt_down_to_0_and_says_why(
    shown: Shown, face: str
) -> None:
    row, claim = shown.robust(face), shown.claim(face)
    assert float(row["value"]) > 0.8
    assert float(row["low"]) == 0
    assert row["doubts"] == "; ".join(claim["doubts"])
    assert any("(gradient)" in reason for reason in claim["doubts"])


def test_the_plain_face_is_not_flagged_and_a_high_temperature_misleads_nobody(shown: Shown) -> None:
    for face in ("plain", "T 1e6"):
        assert shown.failed(face) == set()
        assert shown.robust(face)["doubts"] == ""
        assert float(shown.robust(face)["value"]) < 0.1


def test_noise_and_nan_are_named(shown: Shown) -> None:
    assert "repeatable" in shown.failed("noise")
    assert "finite" in shown.failed("NaN")
    assert "net Face (face NaN) gives logits that are not finite" in shown.stderr
    assert "net Face (face noise) draws random numbers" in shown.stderr


def test_only_the_attack_that_met_nan_fails_the_run(shown: Shown) -> None:
    failed = [line for line in shown.stderr.splitlines() if line.startswith("failed: ")]
    assert failed
    assert all(" face NaN" in line for line in failed)
    assert shown.code == 1


def test_where_the_cross_entropy_vanishes_the_margin_is_offered_in_every_format(
    shown: Shown,
) -> None:
    left, hint = "PGD on the margin leaves 0 of the", "`loss: margin` or `loss: dlr`"
    terminal = " ".join(shown.terminal.split())
    page = shown.page.replace("&#39;", "'")
    assert left in shown.robust("logits x 1000")["doubts"]
    assert left in terminal
    assert left in page
    assert hint in terminal
    assert hint in page
    hints = [record["hint"] for record in shown.body["health"]["checks"]]
    assert any(hint in text for text in hints)


def test_health_is_a_line_above_the_claims_and_doubts_have_daggers(shown: Shown) -> None:
    headline = "Health: 2 of 10 nets pass, 8 fail"
    for text in (shown.terminal, shown.page):
        assert headline in text
        assert text.index(headline) < text.index("Claims")
        assert "†" in text
    assert any(line.startswith("health: 2 of 10 nets pass") for line in shown.stderr.splitlines())
