"""State dicts: found at an entry of a file, and loaded only where they fit the net."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from invspec.errors import InvspecError
from invspec.files.entries import state_dict_at
from invspec.files.state_dicts import fill, load_weights, require_weights
from invspec.layers.standardise import Standardise, StandardisedNet

PATH = Path("a.pth")
WEIGHTS = {"weight": torch.ones(2, 3), "bias": torch.ones(2)}


def refused(work: Any, *arguments: Any) -> tuple[str, str]:
    with pytest.raises(InvspecError) as problem:
        work(*arguments)
    return problem.value.message, problem.value.hint


def test_weights_are_filled_into_the_net() -> None:
    net = nn.Linear(3, 2)
    fill(net, WEIGHTS, PATH)
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in WEIGHTS.items())


def test_weights_are_filled_into_the_net_behind_a_standardisation() -> None:
    for prefix in ("", "net."):
        net = StandardisedNet(Standardise((0.5,), (0.25,), channels=1), nn.Linear(3, 2))
        fill(net, {prefix + name: tensor for name, tensor in WEIGHTS.items()}, PATH)
        assert torch.equal(net.net.get_parameter("weight"), WEIGHTS["weight"])
        assert net.pixel_std.item() == 0.25


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (
            {"weight": torch.ones(2, 3)},
            "names missing in the file: bias; names unknown to the model: nothing",
        ),
        (
            {**WEIGHTS, "bias": torch.ones(3)},
            "bias: found (3,), the model has (2,)",
        ),
    ],
)
def test_weights_of_another_net_are_refused_and_leave_the_net_alone(
    weights: dict[str, torch.Tensor], message: str
) -> None:
    net = nn.Linear(3, 2)
    before = net.weight.clone()
    assert refused(fill, net, weights, PATH) == (
        f"a.pth does not fit the model: {message}",
        "is this the architecture of the weights? its code may have changed since",
    )
    assert torch.equal(net.weight, before)


def test_names_beside_the_weights_are_refused_by_name() -> None:
    extra = {name: torch.ones(1) for name in "vwxyz"}
    for names, listed in (("vw", "v, w"), ("vwxyz", "v, w, x, y, ...")):
        weights = {**WEIGHTS, **{name: extra[name] for name in names}}
        message, hint = refused(fill, nn.Linear(3, 2), weights, PATH)
        assert message.endswith(
            f"missing in the file: nothing; names unknown to the model: {listed}"
        )
        assert hint.startswith("remove what is no weight of this net")


def test_a_prefix_of_no_wrapper_is_refused_and_taken_as_entry() -> None:
    weights = {f"net.{name}": item for name, item in WEIGHTS.items()}
    message, hint = refused(fill, nn.Linear(3, 2), weights, PATH)
    assert message.endswith(
        "the file: weight, bias; names unknown to the model: net.weight, net.bias"
    )
    assert hint == "to load the names under net. alone, add net to entry"
    fill(nn.Linear(3, 2), state_dict_at("net", weights, PATH), PATH)


def test_names_beside_a_wrapped_net_are_refused_and_left_out_by_an_entry() -> None:
    weights = {f"model.{name}": item for name, item in WEIGHTS.items()} | {"loss.w": torch.ones(1)}
    message, hint = refused(fill, nn.Linear(3, 2), weights, PATH)
    assert message.endswith("missing in the file: nothing; names unknown to the model: loss.w")
    assert hint == "to load the names under model. alone, add model to entry"
    content = {"state_dict": weights}
    fill(nn.Linear(3, 2), state_dict_at("state_dict.model", content, PATH), PATH)


def test_all_shapes_that_differ_are_named() -> None:
    weights = {"weight": torch.ones(3, 2), "bias": torch.ones(1)}
    message, _ = refused(fill, nn.Linear(3, 2), weights, PATH)
    assert message.endswith(
        "weight: found (3, 2), the model has (2, 3); bias: found (1,), the model has (2,)"
    )


def test_counters_of_batch_norm_may_be_missing_and_keep_the_value_of_the_net() -> None:
    net = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    weights = {name: item + 1 for name, item in net.state_dict().items() if "num_b" not in name}
    fill(net, {f"module.{name}": item for name, item in weights.items()}, PATH)
    assert all(torch.equal(net.state_dict()[name], item) for name, item in weights.items())
    assert net.state_dict()["1.num_batches_tracked"] == 0


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_weights_of_other_precisions_are_taken(dtype: torch.dtype) -> None:
    net = nn.Linear(3, 2)
    fill(net, {name: weight.to(dtype) for name, weight in WEIGHTS.items()}, PATH)
    assert torch.equal(net.weight, WEIGHTS["weight"])
    assert net.weight.dtype == torch.float32


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300])
def test_weights_that_are_not_finite_in_the_net_are_refused(value: float) -> None:
    weights = {**WEIGHTS, "bias": torch.tensor([0, value], dtype=torch.float64)}
    message, hint = refused(fill, nn.Linear(3, 2), weights, PATH)
    assert message == "a.pth: bias holds values that are NaN or infinite"
    assert "lr" not in hint


def test_a_mask_that_is_infinite_in_the_net_too_is_taken() -> None:
    net = nn.Linear(3, 2)
    net.register_buffer("mask", torch.tensor([0, -torch.inf]))
    fill(net, {**WEIGHTS, "mask": torch.tensor([0, -torch.inf])}, PATH)
    with pytest.raises(InvspecError, match="mask holds values"):
        fill(net, {**WEIGHTS, "mask": torch.tensor([-torch.inf, 0])}, PATH)


def test_numbers_that_the_net_cannot_hold_are_refused() -> None:
    weights = {**WEIGHTS, "bias": torch.ones(2, dtype=torch.complex64)}
    message, _ = refused(fill, nn.Linear(3, 2), weights, PATH)
    assert message == "a.pth: bias is complex64, the model has float32"


def test_weights_are_loaded_from_an_entry_of_a_file_of_the_data_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("INVSPEC_DATA", str(tmp_path))
    torch.save({"state_dict": WEIGHTS}, tmp_path / "a.pth")
    digest = hashlib.sha256((tmp_path / "a.pth").read_bytes()).hexdigest()
    net = nn.Linear(3, 2)
    load_weights(net, "a.pth", digest, "state_dict")
    assert torch.equal(net.weight, WEIGHTS["weight"])
    with pytest.raises(InvspecError, match="has other content"):
        load_weights(net, "a.pth", 64 * "0", "state_dict")


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf")])
def test_weights_that_are_not_finite_are_found_before_anything_runs(
    value: float, tmp_path: Path
) -> None:
    path = tmp_path / "a.pth"
    torch.save({f"module.{name}": weight * value for name, weight in WEIGHTS.items()}, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    with torch.device("meta"):
        sketch = nn.Linear(3, 2)
    message, _ = refused(require_weights, sketch, str(path), digest)
    assert message.endswith("weight holds values that are NaN or infinite")
