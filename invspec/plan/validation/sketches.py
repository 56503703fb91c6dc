"""Nets as a plan sees them: built without weights where that works, and asked for logits."""

from __future__ import annotations

import traceback
from collections.abc import Mapping, Sequence
from typing import Any

from invspec.errors import InvspecError, SpecError, first_line
from invspec.kinds import Dataset, Model
from invspec.registry import own_code
from invspec.registry.messages import shown

# A sketch with fewer values, 256 MiB, gets memory: meta tensors need imports that take seconds.
SMALL = 2**26
# the most values of a net that is built with weights to see whether it works, 4 GiB
LARGEST = 2**30


def sketched(dataset: Dataset, model: Model, name: str) -> Any:
    """The model for this data set, without weights where that works.

    Raises: SpecError if it cannot be built, or does not give what its class says that it makes.
    """
    attempt: list[Any] = []
    try:
        return _drawn(model, dataset, attempt)
    except SpecError as problem:
        # a sketch has answered: weights would not change the form of its answer
        raise _named(problem, name) from None
    except InvspecError as problem:
        raise _named(problem, name) from None
    except Exception as problem:
        # some nets work only with weights: those that compute with tensors in their constructor, or
        # have tensors that are neither parameters nor buffers
        if not _fits_in_memory(attempt):
            raise _refusal(problem, dataset, name) from None
    try:
        return _with_weights(model, dataset)
    except InvspecError as problem:
        raise _named(problem, name) from None
    except Exception as problem:
        # the code of a user's model can raise anything
        raise _refusal(problem, dataset, name) from None


def _named(problem: InvspecError, name: str) -> SpecError:
    return SpecError(f"{name}: {problem.message}", hint=problem.hint, path=("model",))


def _refusal(problem: Exception, dataset: Dataset, name: str) -> SpecError:
    """What torch, or the code of a user's model, has raised."""
    shape = "x".join(map(str, dataset.shape))
    # torch raises the last two for sizes past 64 bits
    if isinstance(problem, ValueError | RuntimeError | TypeError | OverflowError):
        message, line = f"{name}: {first_line(problem)}", own_code.place(problem)
        hint = f"its images are {shape}{f'; raised in {line}' if line else ''}"
        return SpecError(message, hint=hint, path=("model",))
    last = traceback.extract_tb(problem.__traceback__)[-1]
    line = own_code.place(problem) or f"{last.filename}:{last.lineno}"
    message = f"{name}: {own_code.said(problem)}"
    return SpecError(message, hint=f"raised in {line}", path=("model",))


def _drawn(model: Model, dataset: Dataset, attempt: list[Any]) -> Any:
    """The deployed net without weights, once it has given logits. attempt gets the net before."""
    net = _checked(model.sketch(dataset.shape, dataset.classes), model)
    attempt.append(net)
    net = _in_memory(model.deploy(net))
    _require_output(net, model, dataset)
    return net


def _with_weights(model: Model, dataset: Dataset) -> Any:
    """The deployed net with weights, which are drawn from a generator of their own."""
    import torch

    with torch.random.fork_rng(devices=[]):
        net = _checked(model.build(dataset.shape, dataset.classes), model)
        if any(map(torch.nn.parameter.is_lazy, _tensors(net))):
            # layers that take their sizes from the first images
            _require_output(net.eval(), model, dataset)
        net = model.deploy(net)
        _require_output(net, model, dataset)
    return net


def _fits_in_memory(attempt: list[Any]) -> bool:
    """Whether a net with weights may be built: its size is unknown or at most LARGEST."""
    import torch

    tensors = [tensor for net in attempt for tensor in _tensors(net)]
    sized = [tensor for tensor in tensors if not torch.nn.parameter.is_lazy(tensor)]
    return sum(tensor.numel() for tensor in sized) <= LARGEST


def _tensors(net: Any) -> list[Any]:
    return [*net.parameters(), *net.buffers()]


def _checked(net: object, model: Model) -> Any:
    """The net that a model builds. Raises: SpecError if it is not a net."""
    import torch

    if isinstance(net, torch.nn.Module):
        return net
    message = f"{type(model).__name__}.build returned {shown(net)}, expected a torch.nn.Module"
    raise SpecError(message, hint="end build with `return net`")


def _require_output(net: Any, model: Model, dataset: Dataset) -> None:
    """Two black images must give two rows of logits, two black pairs two images.

    Raises: SpecError.
    """
    import torch

    channels, *sides = dataset.shape
    if model.makes == "images":
        channels *= 2
    device = next((weight.device for weight in net.parameters()), torch.device("cpu"))
    with torch.no_grad():
        output: Any = net(torch.zeros(2, channels, *sides, device=device))
    if model.makes == "images":
        _require_images(output, dataset)
    else:
        _require_logits(output, dataset)


def _require_images(images: Any, dataset: Dataset) -> None:
    import torch

    expected = (2, *dataset.shape)
    if isinstance(images, torch.Tensor) and images.shape == expected:
        return
    is_tensor = isinstance(images, torch.Tensor)
    output = f"shape {tuple(images.shape)} for 2 pairs" if is_tensor else _form(images)
    message = f"forward returned {output}, expected images of shape {expected}"
    hint = "a generator maps (B, 2C, H, W), sources then targets, to images (B, C, H, W)"
    raise SpecError(message, hint=hint)


def _require_logits(logits: Any, dataset: Dataset) -> None:
    import torch

    if not isinstance(logits, torch.Tensor) or logits.ndim != 2 or len(logits) != 2:
        is_tensor = isinstance(logits, torch.Tensor)
        output = f"shape {tuple(logits.shape)} for 2 images" if is_tensor else _form(logits)
        message = f"forward returned {output}, expected logits of shape (B, {dataset.classes})"
        raise SpecError(message, hint="return one row of logits per image")
    if not logits.is_floating_point():
        dtype = str(logits.dtype).removeprefix("torch.")
        hint = "return logits, not the predicted class"
        raise SpecError(f"forward returned {dtype}, expected floating-point logits", hint=hint)
    if logits.shape[1] != dataset.classes:
        count = logits.shape[1]
        raise SpecError(f"expected {dataset.classes} logits, one per class, found {count}")


def _form(output: Any) -> str:
    """What a net returned in place of a tensor."""
    kind = type(output).__name__
    if isinstance(output, Mapping):
        entries: Mapping[Any, Any] = output
        return f"a {kind} with {', '.join(map(str, list(entries)[:3]))}"
    if isinstance(output, tuple | list):
        items: Sequence[Any] = output
        return f"a {kind} of {len(items)}"
    return shown(output) if output is None or isinstance(output, int | float) else f"a {kind}"


def _in_memory(net: Any) -> Any:
    """A small sketch in memory; a large one stays on the meta device."""
    tensors = _tensors(net)
    small = sum(tensor.numel() for tensor in tensors) < SMALL
    if not small or not any(map(_is_meta, tensors)):
        return net
    # as to_empty does, whose empty_like imports sympy, which takes half a second
    return net._apply(_allocated)


def _allocated(tensor: Any) -> Any:
    import torch

    return torch.empty_strided(tensor.shape, tensor.stride(), dtype=tensor.dtype)


def _is_meta(tensor: Any) -> bool:
    return tensor.is_meta
