"""A run after an edit of own code computes what the code makes, and nothing else."""

import re

import pytest
from registries import untouched
from workbench import call, tiny, written

CODE = {
    "dataset": """
from invspec.datasets.fake import Fake
class Mine(Fake):
    def load(self, split):
        return super().load(split)
""",
    "model": """
from torch import nn
from invspec.kinds import Model
class Mine(Model):
    def build(self, shape, classes):
        return nn.Sequential(nn.Flatten(), nn.Linear(16, classes))
""",
    "defence": """
from invspec.kinds import Defence
class Mine(Defence):
    def train(self, model, data, rng, journal):
        return {}
""",
    "attack": """
from invspec.data import Perturbed
from invspec.kinds import Attack
class Mine(Attack):
    def perturb(self, model, batch, rng):
        return Perturbed.costing((batch.x + 0.25).clamp(0, 1), forwards=0, backwards=0)
""",
    "measure": """
from invspec.data import Scored
from invspec.kinds import Measure
from invspec.scoring.rows import share
class Mine(Measure):
    wants_model = False
    def score(self, model, examples):
        judged = examples.judged
        return Scored([share(judged.prediction == judged.y, judged.index)])
""",
}
# the tasks of a training, an attack and a score that each kind is behind
TASKS = {"dataset": 3, "model": 3, "defence": 3, "attack": 2, "measure": 1}


def content(kind):
    """The smallest spec with an own method of a kind."""
    fake = {"shape": [1, 4, 4], "classes": 3, "train": 24, "test": 20}
    parts = {
        "datasets": {"data": {"use": "fake", **fake}},
        "models": {"net": {"use": "linear"}},
        "defences": {"way": {"use": "standard", "epochs": 1, "batch_size": 8}},
        "attacks": {"shift": {"use": "identity"}},
        "measures": {"number": {"use": "accuracy", "of": "shift"}},
        "train": [{"dataset": "data", "model": "net", "defence": "way"}],
    }
    (entry,) = parts[f"{kind}s"].values()
    entry["use"] = "mine"
    if kind == "defence":
        del entry["epochs"], entry["batch_size"]
    return tiny(**parts)


@pytest.fixture(params=CODE)
def kind(request):
    return request.param


@pytest.fixture
def work(tmp_path, monkeypatch, kind):
    (tmp_path / "mine" / kind).mkdir(parents=True)
    target = f"own_{kind}_code:Mine"
    (tmp_path / "mine" / kind / "mine.yaml").write_text(f"target: {target}\nsummary: mine\n")
    (tmp_path / "mine" / f"own_{kind}_code.py").write_text(CODE[kind])
    written(tmp_path, content(kind), "toy")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def computed(work, capsys):
    """The number of tasks that a new process would compute."""
    capsys.readouterr()
    with untouched(work):
        assert call("run", "toy.yaml", "--registry", "mine", "--devices", "cpu") == 0
    words = re.search(r"(\d+) computed", capsys.readouterr().err)
    return int(words[1]) if words else 0


def test_what_an_edited_class_makes_is_computed_again(work, kind, capsys):
    assert computed(work, capsys) == 3
    assert computed(work, capsys) == 0
    path = work / "mine" / f"own_{kind}_code.py"
    path.write_text(f"{path.read_text()}\nEDITED = True\n")
    assert computed(work, capsys) == TASKS[kind]
