"""Weights from a file: which are loaded, which refused, and the accuracy of the published ones."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from invspec.data import Journal, TensorSplit
from invspec.datasets.fake import Fake
from invspec.defences.pretrained import Pretrained
from invspec.defences.untrained import Untrained
from invspec.errors import InvspecError
from invspec.execution.store import Store
from invspec.kinds import Dataset, Defence, Model
from invspec.models.linear import Linear
from invspec.models.small_conv import SmallConv
from invspec.ops.draws import Stream
from invspec.perform.runtime import Artifact
from invspec.registry import methods
from invspec.tasks import Train

SHAPE, CLASSES = (1, 4, 4), 3
DATA = TensorSplit(torch.zeros(1, *SHAPE), torch.zeros(1, dtype=torch.int64))


def net(seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return Linear().build(SHAPE, CLASSES)


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def saved(folder: Path, content: Any) -> Path:
    path = folder / "weights.pth"
    torch.save(content, path)
    return path


def load(path: Path, into: nn.Module, entry: str = "") -> nn.Module:
    defence = Pretrained(file=str(path), sha256=digest(path), entry=entry)
    assert defence.train(into, DATA, Stream("key"), Journal()) == {}
    return into


def refusal(path: Path, into: nn.Module | None = None, entry: str = "") -> InvspecError:
    with pytest.raises(InvspecError) as problem:
        load(path, into or net(), entry)
    return problem.value


def same(first: nn.Module, second: nn.Module) -> bool:
    states = first.state_dict(), second.state_dict()
    return all(weight.equal(states[1][name]) for name, weight in states[0].items())


# ─ loaded ─────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("wrap", "entry"),
    [
        (lambda state: state, ""),
        (lambda state: {"state_dict": state, "epoch": 3}, "state_dict"),
        (lambda state: {"state_dict": [state, {}]}, "state_dict.0"),
        (lambda state: [{"ema": {"net": state}}], "0.ema.net"),
    ],
)
def test_the_state_dict_at_an_entry_is_loaded(tmp_path: Path, wrap: Any, entry: str) -> None:
    theirs, ours = net(1), net(2)
    assert not same(theirs, ours)
    assert same(theirs, load(saved(tmp_path, wrap(theirs.state_dict())), ours, entry))


def test_a_standardised_net_is_loaded_behind_its_standardisation(tmp_path: Path) -> None:
    """Names are those of the plain sequence; mean and std stay the model's own."""
    model = SmallConv(mean=(0.5,), std=(0.25,))
    torch.manual_seed(1)
    theirs: Any = SmallConv().build((1, 12, 12), CLASSES)
    path = saved(tmp_path, theirs.net.state_dict())
    ours: Any = load(path, model.build((1, 12, 12), CLASSES))
    x = torch.rand(2, 1, 12, 12)
    torch.testing.assert_close(ours(x), theirs.net(4 * x - 2))


def stored(folder: Path, trained: nn.Module, model: Model, data: Dataset) -> Path:
    """The file in a store of a Train task that ended at this net."""
    task, store = Train(data, model, Untrained(), seed=0), Store(folder)
    store.save(task, Artifact(dict(trained.state_dict())))
    return store.folder(task) / "model.safetensors"


@pytest.mark.parametrize(
    ("model", "shape"), [(Linear(), SHAPE), (SmallConv(mean=(0.5,), std=(0.25,)), (1, 12, 12))]
)
def test_a_net_from_a_store_is_loaded(tmp_path: Path, model: Model, shape: Any) -> None:
    """Its names are those of the whole model, standardisation included."""
    torch.manual_seed(1)
    theirs, ours = model.build(shape, CLASSES), model.build(shape, CLASSES)
    assert not same(theirs, ours)
    path = stored(tmp_path, theirs, model, Fake(shape=shape, classes=CLASSES))
    assert same(theirs, load(path, ours))


def test_a_relative_path_starts_in_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = saved(tmp_path, net(1).state_dict())
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    ours = net(2)
    Pretrained(file="weights.pth", sha256=digest(path)).train(ours, DATA, Stream("key"), Journal())
    assert same(net(1), ours)


def test_float64_weights_are_loaded_as_float32(tmp_path: Path) -> None:
    path = saved(tmp_path, net(1).double().state_dict())
    assert same(net(1), load(path, net(2)))


@pytest.mark.parametrize(
    ("prefix", "entry"),
    [("module.", ""), ("_orig_mod.", ""), ("model.", "state_dict"), ("module._orig_mod.", "net")],
)
def test_the_prefix_of_a_wrapper_is_taken_off(tmp_path: Path, prefix: str, entry: str) -> None:
    state = {prefix + name: weight for name, weight in net(1).state_dict().items()}
    content = {entry: state, "epoch": 3} if entry else state
    assert same(net(1), load(saved(tmp_path, content), net(2), entry))


@pytest.mark.parametrize("form", ["{}", " {} ", "sha256:{}", "SHA256: {}", "{}\n"])
@pytest.mark.parametrize("case", [str.lower, str.upper])
def test_a_digest_is_taken_as_tools_print_it(form: str, case: Any) -> None:
    digest = 32 * "5e"
    assert Pretrained(file="a.pth", sha256=form.format(case(digest))).sha256 == digest


def test_a_file_is_checked_on_a_sketch_before_a_run(tmp_path: Path) -> None:
    model = SmallConv(mean=(0.5,), std=(0.25,))
    shape = (1, 12, 12)
    path = saved(tmp_path, model.build(shape, CLASSES).state_dict())
    sketch = model.sketch(shape, CLASSES)
    Pretrained(file=str(path), sha256=digest(path)).require_files(sketch, shape, CLASSES)
    with pytest.raises(InvspecError, match="has other content"):
        Pretrained(file=str(path), sha256=64 * "0").require_files(sketch, shape, CLASSES)
    with pytest.raises(InvspecError, match="cannot be read"):
        Pretrained(file=f"{path}x", sha256=64 * "0").require_files(sketch, shape, CLASSES)
    with pytest.raises(InvspecError, match=r"found \(3, \d+\), the model has \(5, \d+\)"):
        Pretrained(file=str(path), sha256=digest(path)).require_files(
            model.sketch(shape, 5), shape, 5
        )


def test_nan_in_a_file_is_named_and_blamed_on_no_training(tmp_path: Path) -> None:
    state = net().state_dict()
    state["1.bias"][0] = torch.nan
    path = saved(tmp_path, state)
    problem = refusal(path)
    assert "1.bias holds values that are NaN or infinite" in problem.message
    assert "lower lr" not in problem.hint
    with pytest.raises(InvspecError, match=r"1\.bias holds values that are NaN"):
        Pretrained(file=str(path), sha256=digest(path)).require_files(net(), SHAPE, CLASSES)


def test_a_smoke_run_reads_no_file() -> None:
    assert Pretrained(file="nowhere.pth", sha256=64 * "0").smoke() == Untrained()


# ─ refused ────────────────────────────────────────────────────────────────────────────────────────


def test_another_file_is_refused_with_its_own_digest(tmp_path: Path) -> None:
    path = saved(tmp_path, net(1).state_dict())
    with pytest.raises(InvspecError) as problem:
        Pretrained(file=str(path), sha256=64 * "0").train(net(), DATA, Stream("key"), Journal())
    assert (
        problem.value.message
        == f"{path} has other content: found SHA-256 {digest(path)}, expected {64 * '0'}"
    )
    assert problem.value.hint == f"if this is the file you mean, write sha256: {digest(path)}"


def test_a_missing_file_is_refused_with_its_whole_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    with pytest.raises(InvspecError, match="cannot be read: No such file") as problem:
        Pretrained(file="a/b.pth", sha256=64 * "0").train(net(), DATA, Stream("key"), Journal())
    assert str(tmp_path / "a" / "b.pth") in problem.value.message


def test_a_relative_path_needs_a_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("INVSPEC_DATA", raising=False)
    with pytest.raises(
        InvspecError, match=r"a/b\.pth is relative to INVSPEC_DATA, which is not set"
    ):
        Pretrained(file="a/b.pth", sha256=64 * "0").train(net(), DATA, Stream("key"), Journal())


def test_a_pickled_net_which_could_run_code_is_refused(tmp_path: Path) -> None:
    assert "cannot be loaded as weights" in refusal(saved(tmp_path, net())).message


HEADER = b'{"a": {"dtype": "F128", "shape": [1], "data_offsets": [0, 4]}}'


@pytest.mark.parametrize("name", ["junk.pth", "junk.safetensors"])
@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"no weights",
        b"PK\x03\x04 and no more",
        b"\x80\x02h\x05.",
        len(HEADER).to_bytes(8, "little") + HEADER,
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    assert "cannot be loaded as weights" in refusal(path).message


@pytest.mark.parametrize(
    ("entry", "message", "hint"),
    [
        (
            "",
            "the file is not a state dict: found dict with state_dict, epoch",
            "set entry to the state dict",
        ),
        ("state_dicts", "the file has no entry 'state_dicts'", "did you mean state_dict?"),
        ("state_dict.2", "state_dict has no entry '2'", "0"),
        ("epoch.0", "epoch has no entry '0'", ""),
        (
            "epoch",
            "epoch is not a state dict: found int",
            "set entry to the state dict",
        ),
    ],
)
def test_an_entry_that_is_not_a_state_dict_is_refused(
    tmp_path: Path, entry: str, message: str, hint: str
) -> None:
    problem = refusal(
        saved(tmp_path, {"state_dict": [net().state_dict()], "epoch": 3}), entry=entry
    )
    assert message in problem.message
    assert hint in problem.hint


def test_other_names_are_refused_both_ways(tmp_path: Path) -> None:
    state = {f"fc.{name[2:]}s": weight for name, weight in net().state_dict().items()}
    message = refusal(saved(tmp_path, state)).message
    assert "names missing in the file: 1.weight, 1.bias; " in message
    assert "names unknown to the model: fc.weights, fc.biass" in message


def test_other_shapes_are_refused_by_name(tmp_path: Path) -> None:
    problem = refusal(saved(tmp_path, net().state_dict()), into=Linear().build(SHAPE, 5))
    assert "1.weight: found (3, 16), the model has (5, 16)" in problem.message
    assert (
        problem.hint == "is this the architecture of the weights? its code may have changed since"
    )


def test_a_refused_file_leaves_the_net_alone(tmp_path: Path) -> None:
    ours = net(2)
    refusal(saved(tmp_path, net(1).state_dict() | {"extra": torch.zeros(1)}), into=ours)
    assert same(net(2), ours)


@pytest.mark.parametrize("sha256", ["", "12ab", 64 * "G", 65 * "0", "md5:" + 64 * "a"])
def test_a_digest_has_64_hexadecimal_digits(sha256: str) -> None:
    with pytest.raises(ValidationError, match="sha256"):
        Pretrained(file="weights.pth", sha256=sha256)


# ─ published weights ──────────────────────────────────────────────────────────────────────────────

MNIST_CLEAN = {  # measured elsewhere, on all 10,000 test images
    ("mnist_conv_small_nat", "conv_small"): 0.9804,
    ("mnist_cnn_a_adv", "cnn_a"): 0.9633,
    ("convex_adversarial_mnist", "cnn_a"): 0.9820,
    ("mnist_small_0_3", "cnn_a"): 0.8523,
}
CIFAR10_CLEAN = {
    ("cifar_marabou_large", "marabou_large"): 0.7416,
    ("cifar_cnn_a_adv", "cnn_a_cifar10"): 0.6975,
    ("cifar_cnn_a_mix4", "cnn_a_cifar10"): 0.7114,
    ("cifar_conv_small_pgd", "conv_small_cifar10"): 0.6292,
    ("cifar_wide", "cnn_a_wide"): 0.6162,
    ("cifar_resnet2b", "resnet2b"): 0.6925,
}
absent = pytest.mark.skipif("INVSPEC_DATA" not in os.environ, reason="INVSPEC_DATA names no folder")


@torch.no_grad()
def accuracy(checkpoint: str, name: str, x: Tensor, y: Tensor) -> float:
    """Share correct of a card's weights in a card's net."""
    defence, model = methods.make("defence", checkpoint, {}), methods.make("model", name, {})
    assert isinstance(defence, Defence)
    assert isinstance(model, Model)
    loaded = model.build((x.shape[1], x.shape[2], x.shape[3]), 10)
    defence.train(loaded, DATA, Stream("key"), Journal())
    return (model.deploy(loaded)(x).argmax(1) == y).float().mean().item()


# the first 1,000 digits are hard ones; two of all 10,000 may flip on another machine
few_and_all = pytest.mark.parametrize(
    ("n", "within"), [(1000, 0.035), pytest.param(10_000, 2e-4, marks=pytest.mark.slow)]
)


@pytest.mark.data
@absent
@few_and_all
@pytest.mark.parametrize(("checkpoint", "model"), MNIST_CLEAN)
def test_published_weights_for_mnist_have_their_accuracy(
    checkpoint: str, model: str, n: int, within: float
) -> None:
    digits = methods.make("dataset", "mnist", {})
    assert isinstance(digits, Dataset)
    (batch,) = digits.load("test").head(n).batches(n)
    assert accuracy(checkpoint, model, batch.x, batch.y) == pytest.approx(
        MNIST_CLEAN[checkpoint, model], abs=within
    )


@pytest.fixture(scope="module")
def photos() -> tuple[Tensor, Tensor]:
    """The test images of CIFAR-10 and their labels."""
    from torchvision.datasets import CIFAR10

    test = CIFAR10(os.environ["INVSPEC_DATA"], train=False)
    x = torch.from_numpy(test.data).permute(0, 3, 1, 2) / 255
    return x, torch.tensor(test.targets)


@pytest.mark.data
@absent
@few_and_all
@pytest.mark.parametrize(("checkpoint", "model"), CIFAR10_CLEAN)
def test_published_weights_for_cifar10_have_their_accuracy(
    checkpoint: str, model: str, photos: tuple[Tensor, Tensor], n: int, within: float
) -> None:
    x, y = photos
    assert accuracy(checkpoint, model, x[:n], y[:n]) == pytest.approx(
        CIFAR10_CLEAN[checkpoint, model], abs=within
    )
