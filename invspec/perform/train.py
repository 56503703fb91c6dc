"""Perform a training."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn

from invspec.data import Curves, Split
from invspec.errors import MAX_LINE, InvspecError
from invspec.kinds import Dataset, Defence, FeatureTraining, GeneratorTraining
from invspec.ops.draws import Stream
from invspec.ops.generators import seeded
from invspec.ops.modules import moved
from invspec.perform.fresh import fresh
from invspec.perform.proxies import left_alone, searched, sound
from invspec.perform.runtime import Artifact, Runtime
from invspec.perform.samples import read_split
from invspec.perform.splits import same_images
from invspec.perform.words import words
from invspec.tasks import Train, draw_name

# largest difference between the logits of a trained net and those of its stored weights, as a share
# of the largest logit
TOLERANCE = 1e-3
# images on which they are compared
FEW = 4


def train(task: Train, runtime: Runtime) -> Artifact:
    """Train a net from its initial weights.

    Warns of a data set whose test images are those of the training.

    Raises: InvspecError if a weight is not finite, or if the weights do not give the trained net.
    """
    # a Dataset is frozen, and so hashable
    data = read_split(task.dataset, "train")  # pyright: ignore[reportArgumentType]
    if task.defence.weights_from == "trained":
        _warn_of_same_images(task.dataset, data, runtime)
    data = data.to(runtime.device)
    net = moved(fresh(task), runtime.device)
    masks, dtypes = _not_finite(net), _dtypes(net)
    rng = Stream("training " + draw_name(task))
    with seeded(f"training {draw_name(task)}"):
        curves = _fitted(task, net, data, rng, runtime)
    _require_curves(curves, task.defence)
    _require_precision(net, dtypes)
    weights = _weights(net, masks)
    _require_restored(task, net, weights, data)
    return Artifact(weights, curves=curves)


def _require_curves(curves: object, defence: Defence) -> None:
    """Raises: InvspecError if a training returns something else than numbers by name."""
    expected = "expected curves by name: {'loss': [0.7, 0.3]}, or {}"
    hint = "check the return statement of its train"
    if not isinstance(curves, Mapping):
        result = "nothing" if curves is None else f"a {type(curves).__name__}"
        raise InvspecError(f"{words(defence)} returned {result}, {expected}", hint=hint)
    for name, values in cast(Mapping[object, Any], curves).items():
        is_curve = isinstance(values, Sequence) and not isinstance(values, str)
        if not isinstance(name, str) or not is_curve or not all(map(_is_number, values)):
            raise InvspecError(
                f"{words(defence)} returned the curve {name!r}, {expected}", hint=hint
            )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _fitted(task: Train, net: nn.Module, data: Split, rng: Stream, runtime: Runtime) -> Curves:
    """Fit the net in place, beside the frozen net that the task may name."""
    journal, defence = runtime.journal(task), task.defence
    frozen = task.against or task.features
    if frozen is None:
        return defence.train(net, data, rng, journal)
    # as attacks see it
    other = searched(sound(frozen, data, runtime), "float32")
    with left_alone(frozen, defence, runtime):
        if isinstance(defence, GeneratorTraining):
            return defence.train_against(net, other, data, rng, journal)
        assert isinstance(defence, FeatureTraining), "planning ensures a training with two nets"
        return defence.train_by(net, other, data, rng, journal)


def _warn_of_same_images(dataset: Dataset, data: Split, runtime: Runtime) -> None:
    try:
        if not dataset.count("test"):
            return
        test = read_split(dataset, "test")  # pyright: ignore[reportArgumentType]
    except Exception:
        # the tasks that read it will say so
        return
    if warning := same_images(data, test, dataset):
        runtime.warn(warning)


def _not_finite(net: nn.Module) -> dict[str, Tensor]:
    """Weights and buffers that are not finite before the training, such as masks of -inf."""
    return {
        name: value.detach().cpu().clone()
        for name, value in _tensors(net.state_dict()).items()
        if not value.isfinite().all()
    }


def _dtypes(net: nn.Module) -> dict[str, torch.dtype]:
    return {name: value.dtype for name, value in _tensors(net.state_dict()).items()}


def _require_precision(net: nn.Module, expected: Mapping[str, torch.dtype]) -> None:
    """Weights must keep their precision: a lower one would not be that of the stored net."""
    for name, dtype in _dtypes(net).items():
        if dtype != expected.get(name, dtype):
            kinds = (dtype, expected[name])
            own, wanted = (str(kind).removeprefix("torch.") for kind in kinds)
            raise InvspecError(
                f"after the training, weights are {own}, expected {wanted} ({name})",
                hint="end with model.to(dtype) as it was",
            )


def _tensors(state: Mapping[str, Any]) -> dict[str, Tensor]:
    """A state dict of tensors. Raises: InvspecError."""
    for name, value in state.items():
        if not isinstance(value, Tensor):
            raise InvspecError(
                f"the net's state dict has {name}, a {type(value).__name__}, expected tensors",
                hint="keep it as a buffer, or have the constructor make it",
            )
    return dict(state)


def _weights(net: nn.Module, masks: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The trained weights, on the CPU.

    Raises: InvspecError if one is not finite that was finite before.
    """
    # cloned, because safetensors refuses tied weights that share memory
    weights = {
        name: weight.detach().cpu().contiguous().clone()
        for name, weight in _tensors(net.train().state_dict()).items()
    }
    for name, weight in weights.items():
        bad = ~weight.isfinite()
        if name in masks and masks[name].shape == weight.shape:
            bad &= masks[name].isfinite()
        if bad.any():
            raise InvspecError(
                f"training left weights that are not finite ({name})", hint="lower lr"
            )
    return weights


def _require_restored(
    task: Train, net: nn.Module, weights: Mapping[str, Tensor], images: Split
) -> None:
    """The stored weights must give the net that was trained, judged by a few images."""
    (batch,) = images.head(FEW).batches(FEW)
    restored = fresh(task)
    try:
        restored.load_state_dict(dict(weights))
    except RuntimeError as problem:
        raise InvspecError(
            f"the weights of net {words(task.model)} do not fit the net that it builds: "
            f"{' '.join(str(problem).split())[:MAX_LINE]}",
            hint="a training must not add, remove or resize weights",
        ) from None
    restored = moved(restored, batch.x.device)
    expected, again = (_output(task, model, batch.x) for model in (net, restored))
    difference = (expected - again).abs().nan_to_num().amax()
    if not difference <= TOLERANCE * expected.abs().nan_to_num().amax():
        raise InvspecError(
            f"net {words(task.model)} gives other {task.model.makes} once its weights are stored "
            "and loaded: it has learned something that its state dict does not hold",
            hint="keep what it learns in parameters and buffers (register_buffer)",
        )


@torch.no_grad()
def _output(task: Train, net: nn.Module, x: Tensor) -> Tensor:
    """What the net makes once it is deployed, with the same draws each time."""
    given = torch.cat([x, x.flip(0)], dim=1) if task.model.makes == "images" else x.clone()
    with seeded("restored"):
        return task.model.deploy(net)(given).double()
