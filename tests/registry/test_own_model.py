"""A user's own model and weights: every method that fits runs on it, others are refused."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import torch
import yaml
from registries import untouched
from torch import nn
from workbench import call

from invspec.datasets.fake import Fake
from invspec.kinds import Bijective, Measure, Method
from invspec.registry.cards import Kind, names
from invspec.registry.methods import make, resolve

MODEL = '''\
"""A net that was trained somewhere else."""

from torch import nn

from invspec.kinds import Model


class Own(Model):
    """One hidden layer, tanh."""

    def build(self, shape, classes):
        pixels = shape[0] * shape[1] * shape[2]
        return nn.Sequential(nn.Flatten(), nn.Linear(pixels, 24), nn.Tanh(), nn.Linear(24, classes))
'''
FAKE = {"shape": [1, 8, 8], "classes": 4, "train": 64, "val": 8, "test": 48}
SMALL = {"sample": {"limit": 24}}
PAIRS = {"sample": {"limit": 8, "targets": {"each": 2}}}
ATTACKS: dict[str, Any] = {
    "clean": {"use": "identity"},
    "pgd": {"eps": 0.2, "steps": 3, **SMALL},
    "fgsm": {"eps": 0.2, **SMALL},
    "swept": {"use": "pgd", "eps": {"sweep": [0.05, 0.2]}, "steps": 3, **SMALL},
    "corrupted": {"use": "corruption", "severity": {"sweep": [1, 5]}, **SMALL},
    "walk": {"use": "nspgd", "steps": 12, "keep_path": True, **PAIRS},
    "short": {"use": "nspgd", "steps": 3, **PAIRS},
}
SPECIAL = {
    "confidence_threshold": ["clean", "pgd"],  # whose first attack must move nothing
    "mean_corruption_error": ["corrupted"],
    "source_plane": ["walk", "short"],  # with the same pairs
}
BEHIND = {  # measures of what one attack promises, and the attack, which itself refuses the net
    "logit_gap": "metamer",
    "null_step_exactness": "null_step",
}
# it reads a sweep of layers, which depend on the net: tests of its own run it
LAYERED = "layer_metamer_pictures"


def complete(kind: Kind) -> list[str]:
    """The cards of a kind that say all that their class requires."""
    return [
        name
        for name in names(kind)
        if not any(i.is_required() for i in resolve(kind, name).model_fields.values())
    ]


def wanting_a_bijection(kind: Kind) -> list[str]:
    return [name for name in complete(kind) if made(kind, name).accepts is Bijective]


def made(kind: Kind, name: str) -> Method:
    return make(kind, name, {})


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A registry with a net and weights trained without invspec, in the working folder."""
    folder = tmp_path / "mine"
    (folder / "model").mkdir(parents=True)
    (folder / "defence").mkdir()
    (folder / "own_net.py").write_text(MODEL)
    torch.save(trained().state_dict(), tmp_path / "own.pth")
    digest = hashlib.sha256((tmp_path / "own.pth").read_bytes()).hexdigest()
    (folder / "model" / "own.yaml").write_text("target: own_net:Own\nsummary: a net of mine\n")
    weights = {"file": str(tmp_path / "own.pth"), "sha256": digest}
    card = {
        "target": "invspec.defences.pretrained:Pretrained",
        "summary": "its weights",
        "params": weights,
    }
    (folder / "defence" / "own_weights.yaml").write_text(yaml.safe_dump(card))
    monkeypatch.chdir(tmp_path)
    with untouched(folder):
        yield folder


def trained() -> nn.Module:
    """The net after a few steps on the fake data: some of its test images are right, not all."""
    with torch.random.fork_rng([]):
        torch.manual_seed(0)
        net = nn.Sequential(nn.Flatten(), nn.Linear(64, 24), nn.Tanh(), nn.Linear(24, 4))
    (batch,) = Fake.model_validate(FAKE).load("train").batches(64)
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(40):
        optimiser.zero_grad()
        nn.functional.cross_entropy(net(batch.x), batch.y).backward()
        optimiser.step()
    return net


def spec(attacks: Any, measures: Any, **changes: Any) -> Path:
    """A spec of the net, as a file."""
    content = {
        "title": "a model of my own",
        "datasets": {"fake": FAKE},
        "models": {"own": {}, "linear": {}},
        "defences": {"own_weights": {}, "standard": {"epochs": 10, "lr": 0.1}},
        "attacks": attacks,
        "measures": measures,
        "train": [{"dataset": "fake", "model": "own", "defence": "own_weights"}],
        **changes,
    }
    path = Path("x.yaml")
    path.write_text(yaml.safe_dump(content, sort_keys=False))
    return path


def fitting() -> dict[str, Any]:
    """An entry for every measure that a plain classifier can be given, of attacks that it takes."""
    return {
        name: entry(name, cast(Measure, made("measure", name)))
        for name in complete("measure")
        if made("measure", name).accepts is None and name not in BEHIND and name != LAYERED
    }


def entry(name: str, measure: Measure) -> dict[str, Any]:
    first = "walk" if measure.wants_target else "swept" if measure.takes_sweep else "fgsm"
    of = ["pgd", first] if measure.takes[0] == 2 else [first]
    oracle = {"oracle": {"model": "linear", "defence": "standard"}} if measure.wants_oracle else {}
    without_weights = {"distance": "rmse"} if "distance" in type(measure).model_fields else {}
    return {"of": SPECIAL.get(name, of), **oracle, **without_weights}


@pytest.mark.slow
def test_every_measure_that_fits_runs_on_a_users_model(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measures = fitting()
    path = spec(ATTACKS, measures)
    assert call("run", path, "--registry", mine, "--workers", 1, "--store", "store") == 0, (
        capsys.readouterr().err
    )
    capsys.readouterr()
    assert call("report", path, "--registry", mine, "--store", "store", "--format", "csv") == 0
    message = capsys.readouterr().out
    assert {name for name in measures if name not in message} == set()


# ─ refusals ───────────────────────────────────────────────────────────────────────────

NEEDED = (
    "it needs a model that is a bijection between its D pixels and D numbers, "
    "K of which are its logits"
)


def misfit(path: Path, user: str) -> str:
    """The message about a method that does not fit the model."""
    place = f"x.yaml:{line_of(path, '- dataset')}: train.0"
    return f"error: {place}: {user} does not fit model own\nhint: {NEEDED}\n"


def refusal(path: Path, mine: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """The one message with which `validate` refuses a spec."""
    assert call("validate", path, "--registry", mine) == 2
    message = capsys.readouterr().err
    assert message.count("error: ") == 1
    return message


def line_of(path: Path, start: str) -> int:
    """The number of the line that starts so."""
    (number,) = [
        n for n, line in enumerate(path.read_text().splitlines(), 1) if line.startswith(start)
    ]
    return number


@pytest.mark.parametrize("name", wanting_a_bijection("measure"))
def test_a_measure_that_needs_a_bijection_refuses_it(
    name: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    measure = cast(Measure, made("measure", name))
    path = spec(ATTACKS, {name: entry(name, measure)})
    expected = misfit(path, f"measure {name}")
    assert refusal(path, mine, capsys) == expected


@pytest.mark.parametrize("name", wanting_a_bijection("attack"))
def test_an_attack_that_needs_a_bijection_refuses_it(
    name: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec({name: PAIRS}, {"accuracy": {"of": name}})
    expected = misfit(path, f"attack {name}")
    assert refusal(path, mine, capsys) == expected


@pytest.mark.parametrize("name", wanting_a_bijection("defence"))
def test_a_defence_that_needs_a_bijection_refuses_it(
    name: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = [{"dataset": "fake", "model": "own", "defence": name}]
    path = spec(
        {"clean": ATTACKS["clean"]}, {"accuracy": {"of": "clean"}}, defences={name: {}}, train=lines
    )
    expected = misfit(path, f"defence {name}")
    assert refusal(path, mine, capsys) == expected


@pytest.mark.parametrize(("name", "attack"), BEHIND.items())
def test_an_attack_for_other_nets_is_refused_in_a_measure(
    name: str, attack: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = spec({attack: PAIRS}, {name: {"of": attack}})
    assert f"attack {attack} does not fit model own\nhint: it needs a model" in refusal(
        path, mine, capsys
    )


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("pass", "own on digits: Own.build returned nothing, expected a torch.nn.Module"),
        ("return 3", "own on digits: Own.build returned 3, expected a torch.nn.Module"),
        (
            "return Net(lambda x: 3)",
            "own on digits: forward returned 3, expected logits of shape (B, 10)",
        ),
        (
            "return Net(lambda x: x)",
            "own on digits: forward returned shape (2, 1, 28, 28) for 2 images, expected",
        ),
        ("return Net(lambda x: x.nothing)", "own on digits: AttributeError: 'Tensor' object has"),
    ],
)
def test_a_broken_net_is_one_error_without_a_traceback(
    body: str, message: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine"
    (mine / "model").mkdir(parents=True)
    (mine / "model" / "own.yaml").write_text("target: broken_net:Own\nsummary: a broken net\n")
    (mine / "broken_net.py").write_text(
        "from torch import nn\n"
        "from invspec.kinds import Model\n"
        "class Net(nn.Module):\n"
        "    def __init__(self, function):\n"
        "        super().__init__()\n"
        "        self.function = function\n"
        "    def forward(self, x):\n"
        "        return self.function(x)\n"
        "class Own(Model):\n"
        "    def build(self, shape, classes):\n"
        f"        {body}\n"
    )
    path = tmp_path / "own.yaml"
    path.write_text(
        "title: own\n"
        "datasets: {digits: {}}\n"
        "models: {own: {}}\n"
        "defences: {untrained: {}}\n"
        "attacks: {identity: {}}\n"
        "measures: {accuracy: {of: identity}}\n"
        "train: [{dataset: digits, model: own, defence: untrained}]\n"
    )
    with untouched(mine):
        assert call("validate", path, "--registry", mine) == 2
    error = capsys.readouterr().err
    assert f"own.yaml:7: train.0.model: {message}" in error
    assert "Traceback" not in error
