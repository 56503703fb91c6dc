"""Nets of RobustBench's zoo: files in its layout, loaded by its own package; what is refused."""

from __future__ import annotations

import hashlib
import pickle
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml
from torch import nn
from workbench import call

from invspec.errors import InvspecError, SpecError
from invspec.models import robustbench as adapter
from invspec.models.robustbench import NotInstalled, RobustBenchModel
from invspec.registry import examples
from invspec.registry.methods import make

# PreActResNet-18, the smallest of the zoo for CIFAR-10
NAME = "Wong2020Fast"
RGB, CLASSES = (3, 32, 32), 10


class Ensemble(nn.Module):
    """The mean of nets, as the zoo builds ensembles."""

    def __init__(self) -> None:
        super().__init__()
        self.models = nn.ModuleList(nn.Sequential(nn.Flatten(), nn.Linear(3072, 10)) for _ in "ab")

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.stack([model(x) for model in self.models]).mean(0)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    return tmp_path


@pytest.fixture
def real() -> Any:
    if find_spec("robustbench") is None:
        pytest.skip("robustbench is not installed")
    return adapter.zoo()


def saved(data: Path, content: Any, name: str = NAME) -> Path:
    path = data / "models" / "cifar10" / "Linf" / f"{name}.pt"
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(content, path)
    return path


def random_net(real: Any) -> nn.Module:
    torch.manual_seed(3)
    return real["cifar10", "Linf"][NAME]["model"]().eval()


@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_in_the_zoos_layout_are_loaded(real: Any, data: Path, prefix: str) -> None:
    net = random_net(real)
    saved(data, {f"{prefix}{name}": weight for name, weight in net.state_dict().items()})
    model = RobustBenchModel(name=NAME)
    built = model.build(RGB, CLASSES)
    x = torch.rand(2, *RGB)
    with torch.no_grad():
        assert torch.equal(built(x), net(x))
    sketch = model.sketch(RGB, CLASSES)
    assert sketch.state_dict().keys() == built.state_dict().keys()
    assert all(weight.is_meta for weight in sketch.parameters())


def test_the_digest_of_the_file_is_in_the_identity(real: Any, data: Path) -> None:
    path = saved(data, random_net(real).state_dict())
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    reads = RobustBenchModel(name=NAME).identity["reads"]
    assert reads == {f"models/cifar10/Linf/{NAME}.pt": digest}


def test_a_missing_file_is_one_message_with_its_path_and_how_to_get_it(
    real: Any, data: Path
) -> None:
    model = RobustBenchModel(name=NAME)
    for attempt in (
        lambda: model.sketch(RGB, CLASSES),
        lambda: model.build(RGB, CLASSES),
        lambda: model.identity,
    ):
        with pytest.raises(InvspecError) as problem:
            attempt()
        assert problem.value.message == f"no file {data}/models/cifar10/Linf/{NAME}.pt"
        assert f"load_model('{NAME}', 'models', 'cifar10', 'Linf')" in problem.value.hint


def test_a_file_of_another_net_is_refused(real: Any, data: Path) -> None:
    saved(data, nn.Linear(2, 2).state_dict())
    with pytest.raises(InvspecError, match=f"{NAME}.pt does not fit {NAME}: Error"):
        RobustBenchModel(name=NAME).build(RGB, CLASSES)


def test_a_file_with_code_is_refused_before_it_runs(real: Any, data: Path) -> None:
    class Code:
        def __reduce__(self) -> Any:
            return pytest.fail, ("code ran",)

    path = saved(data, {})
    path.write_bytes(pickle.dumps(Code()))
    with pytest.raises(InvspecError, match="cannot be loaded as weights"):
        RobustBenchModel(name=NAME).build(RGB, CLASSES)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Wong2020Fastest"}, r"no net 'Wong2020Fastest' for cifar10.*did you mean Wong20"),
        ({"name": NAME, "threat": "L2"}, "no net 'Wong2020Fast' for cifar10 and L2"),
        (
            {"name": "Standard_R50", "dataset": "imagenet"},
            "net of torchvision.*use the model torch",
        ),
        ({"name": NAME, "threat": "linf"}, "expected"),
        ({}, "is missing"),
    ],
    ids=str,
)
def test_what_the_zoo_has_not_is_refused_before_anything_runs(
    real: Any, fields: dict[str, Any], message: str
) -> None:
    with pytest.raises(SpecError, match=f"(?s){message}"):
        make("model", "robustbench", fields)


@pytest.mark.parametrize(
    ("shape", "classes", "message"),
    [
        ((1, 28, 28), 10, "takes images of 3x32x32, found 1x28x28"),
        ((3, 32, 32), 100, "has 10 classes, the data set has 100"),
    ],
)
def test_other_data_sets_are_refused(
    real: Any, data: Path, shape: Any, classes: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        RobustBenchModel(name=NAME).sketch(shape, classes)


def test_a_spec_with_the_example_of_the_card_validates(
    real: Any, data: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    example = yaml.safe_load(examples.example("model", "robustbench"))
    (entry,) = example["models"].values()
    spec = {
        "title": "a net of the zoo",
        "datasets": {"fake": {"shape": list(RGB), "classes": CLASSES, "train": 16, "test": 16}},
        **example,
        "attacks": {"pgd": {"eps": 8 / 255, "steps": 1}},
        "measures": {"accuracy": {"of": "pgd"}},
        "train": [{"dataset": "fake", "model": "robustbench", "defence": "untrained"}],
    }
    monkeypatch.chdir(data)
    Path("zoo.yaml").write_text(yaml.safe_dump(spec))
    assert call("validate", "zoo.yaml") == 1
    message = capsys.readouterr().err
    assert "Traceback" not in message
    assert f"no file {data}/models/cifar10/Linf/{entry['name']}.pt" in message
    saved(data, {}, entry["name"])
    assert call("validate", "zoo.yaml") == 0


# ─ without the package ─


@pytest.fixture
def ensembles(monkeypatch: pytest.MonkeyPatch) -> None:
    """A zoo with one ensemble."""
    nets = {"Two": {"model": Ensemble, "gdrive_id": ["first", "second"]}}
    monkeypatch.setattr(adapter, "zoo", lambda: {("cifar10", "Linf"): nets})


def test_an_ensemble_has_a_file_for_each_member(ensembles: None, data: Path) -> None:
    model = RobustBenchModel(name="Two")
    _, last = (saved(data, {}, f"Two.pt_m{place}") for place in range(2))
    assert set(model.reads) == {f"models/cifar10/Linf/Two.pt_m{place}.pt" for place in range(2)}
    last.unlink()
    with pytest.raises(InvspecError, match=r"no file .*Two\.pt_m1\.pt"):
        model.sketch(RGB, CLASSES)


def test_without_the_package_one_message_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing() -> Any:
        hint = "pip install 'invspec[robustbench]'"
        raise NotInstalled("robustbench cannot be imported: no module", hint=hint)

    monkeypatch.setattr(adapter, "zoo", missing)
    with pytest.raises(SpecError, match=r"(?s)cannot be imported.*pip install 'invspec\[robust"):
        make("model", "robustbench", {"name": NAME})
