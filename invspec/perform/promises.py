"""Promises of attacks and nets, verified for every batch that is judged."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, NamedTuple

import torch
from torch import Tensor, nn

from invspec.data import WALKED, Batch, Perturbed
from invspec.errors import InvspecError
from invspec.kinds import Attack, Standardised
from invspec.ops.norms import ORDERS, size
from invspec.perform.splits import SLACK, require_in_bounds
from invspec.perform.words import words
from invspec.tasks import Train

# an image may be further from x than eps by this share
EXCESS = 1e-5
# what is wrong with logits, and what to do
NOT_FINITE = "logits that are not finite (NaN or infinite)"
FINITE_HINT = "look for divisions by 0, logarithms and exponentials in its forward"
# the rounding error of a float32 pixel, as a share of the largest pixel
ROUNDING = 2.0**-23


class Subject(NamedTuple):
    """A net and its data set, in the words of messages, and the number of classes."""

    net: str
    dataset: str
    classes: int

    @classmethod
    def of(cls, train: Train) -> Subject:
        """The subject of the attacks on a trained net."""
        return cls(words(train.model), words(train.dataset), train.dataset.classes)


def require_images(batch: Batch, subject: Subject) -> None:
    """Clean images must be finite and within their bounds. Raises: InvspecError."""
    try:
        require_in_bounds(batch.x, batch.bounds)
    except InvspecError as problem:
        raise InvspecError(f"{subject.dataset}: {problem.message}", hint=problem.hint) from None


def require_logits(logits: object, batch: Batch, subject: Subject, images: str) -> Tensor:
    """Logits must be finite numbers (B, K). images says which ones they are of.

    Raises: InvspecError.
    """
    matrix = _matrix(logits, len(batch), subject)
    _refuse(
        ~matrix.isfinite().all(1),
        batch,
        f"net {subject.net} gives {NOT_FINITE} on {{}} {images} images of {subject.dataset}",
        FINITE_HINT,
    )
    return matrix


def require_oracle(logits: object, rows: int, subject: Subject) -> Tensor:
    """The answer of an oracle to images of any kind must be finite numbers (B, K).

    Raises: InvspecError.
    """
    matrix = _matrix(logits, rows, subject)
    if bad := int((~matrix.isfinite().all(1)).sum()):
        raise InvspecError(
            f"the oracle, net {subject.net}, gives {NOT_FINITE} on {bad} of {rows} images",
            hint=FINITE_HINT,
        )
    return matrix


def _matrix(logits: object, rows: int, subject: Subject) -> Tensor:
    """Logits must be floating-point numbers (B, K)."""
    if not isinstance(logits, Tensor):
        raise InvspecError(f"net {subject.net} returned a {type(logits).__name__}, expected logits")
    expected = (rows, subject.classes)
    if logits.shape != expected or not logits.is_floating_point():
        raise InvspecError(
            f"net {subject.net} returned {_kind(logits)} for {rows} images of "
            f"{subject.dataset}, expected logits {expected}",
            hint="return one row of logits per image",
        )
    return logits


def require_perturbed(
    perturbed: Perturbed,
    given: Batch,
    batch: Batch,
    attack: Attack,
    net: nn.Module,
    subject: Subject,
) -> None:
    """What an attack made of a batch. given is the copy of the batch that the attack had.

    Raises: InvspecError if the attack changed what it was given, or if its images have another
        shape or dtype, have pixels that are not finite, leave the bounds or the ball, or are not
        those that it said to keep; if another
        part of its result has another form than `Perturbed` says, or its path has more vertices
        than the attack does.
    """
    name, data = words(attack), subject.dataset
    if not (torch.equal(given.x, batch.x) and torch.equal(given.y, batch.y)):
        raise InvspecError(
            f"{name} changed the images or labels of its batch in place",
            hint="write x_adv = batch.x + delta, or start from batch.x.clone()",
        )
    x_adv = _images(perturbed.x_adv, batch.x, name).detach()
    if attack.keeps_images and not torch.equal(x_adv, batch.x):
        raise InvspecError(
            f"{name} changed images, which it said to keep",
            hint="set keeps_images = False in its class",
        )
    _require_range(x_adv, batch, attack, data)
    _require_ball(x_adv, batch, attack, net, data)
    for field in ("forwards", "backwards"):
        hint = "return Perturbed.costing(x_adv, forwards=..., backwards=...)"
        passes = getattr(perturbed, field)
        _require_form(passes, torch.int64, (len(batch),), f"{field} of {name}", hint)
    if perturbed.exact is not None:
        hint = "it is x_adv before rounding to float32"
        _require_form(perturbed.exact, torch.float64, batch.x.shape, f"exact of {name}", hint)
    for field in WALKED:
        if (flags := getattr(perturbed, field)) is not None:
            _require_form(flags, torch.bool, (len(batch),), f"{field} of {name}", "one per pair")
    if perturbed.path is not None:
        _require_path(perturbed.path, batch.x, attack)


def _images(x_adv: object, x: Tensor, name: str) -> Tensor:
    if not isinstance(x_adv, Tensor):
        raise InvspecError(f"x_adv of {name} is a {type(x_adv).__name__}, expected a Tensor")
    if (x_adv.shape, x_adv.dtype) != (x.shape, x.dtype):
        raise InvspecError(
            f"{name} returned {_kind(x_adv)}, expected {_kind(x)}",
            hint="return float images in the range of batch.x" if x_adv.dtype != x.dtype else "",
        )
    if x_adv.device != x.device:
        raise InvspecError(f"{name} returned images on {x_adv.device}, expected {x.device}")
    return x_adv


def _require_range(x_adv: Tensor, batch: Batch, attack: Attack, data: str) -> None:
    """Pixels must be finite and, unless the attack may leave the bounds, within them."""
    low, high = (-torch.inf, torch.inf) if attack.leaves_bounds else batch.bounds
    finite = [abs(bound) for bound in (low, high) if abs(bound) < torch.inf]
    slack = SLACK * max([1.0, *finite])
    # NaN spreads to both ends: one pass tells that all is well, as it almost always is
    least, most = torch.stack(torch.aminmax(x_adv)).tolist()
    if low - slack <= least and most <= high + slack and math.isfinite(most - least):
        return
    _refuse(
        ~x_adv.isfinite().flatten(1).all(1),
        batch,
        f"{words(attack)} returned pixels that are not finite for {{}} images of {data}",
        "check that the model's logits are finite",
    )
    outside = (x_adv < low - slack) | (x_adv > high + slack)
    _refuse(
        outside.flatten(1).any(1),
        batch,
        f"{words(attack)} returned pixels from {least:g} to {most:g} for {{}} images of {data}, "
        f"expected {low:g} to {high:g}",
        "end with x_adv.clamp(*batch.bounds), or set leaves_bounds = True in its class",
    )


def _require_ball(x_adv: Tensor, batch: Batch, attack: Attack, net: nn.Module, data: str) -> None:
    """An attack with fields eps and norm must stay in its ball."""
    eps, norm = getattr(attack, "eps", None), getattr(attack, "norm", None)
    if not isinstance(eps, int | float) or norm not in ORDERS:
        return
    unit = _unit(attack, net)
    length = size((x_adv - batch.x) / unit, norm)
    slack = torch.zeros_like(length)
    if norm != "l0":
        largest = batch.x.flatten(1).abs().amax(1).clamp_min(1)
        values = batch.x[0].numel() ** (1 / ORDERS[norm])
        slack = 2 * ROUNDING * largest * values / unit.min()
    excess = length > eps * (1 + EXCESS) + slack
    _refuse(
        excess,
        batch,
        f"{words(attack)} moved {{}} images of {data} by up to {length.max():g}, expected at "
        f"most eps {eps:g} in {norm}",
        "project the perturbation onto the ball, as invspec.ops.norms.project does",
    )


def _unit(attack: Attack, net: nn.Module) -> Tensor:
    """One unit of eps in pixels, (1, C, 1, 1) or a scalar."""
    if getattr(attack, "eps_space", "pixel") == "standardised":
        assert isinstance(net, Standardised), "planning ensures a standardising model"
        return net.pixel_std.view(1, -1, 1, 1)
    return torch.ones(())


def _require_path(path: object, x: Tensor, attack: Attack) -> None:
    """A path is (T, B, C, H, W), with at most as many vertices as the attack says."""
    vertices = len(path) if isinstance(path, Tensor) and path.ndim else 1
    shape = (max(vertices, 1), *x.shape)
    hint = "the vertices of a path come first: torch.stack(images) gives (T, B, C, H, W)"
    _require_form(path, x.dtype, shape, f"path of {words(attack)}", hint)
    if vertices > attack.path_vertices:
        raise InvspecError(
            f"path of {words(attack)} has {vertices} vertices, but path_vertices says "
            f"{attack.path_vertices}",
            hint="path_vertices must return the largest number of images on a path",
        )


def require_equal_forms(
    forms: Sequence[Mapping[str, tuple[int, ...]]], attack: Attack, pieces: Literal["batch", "part"]
) -> None:
    """The columns of every batch or part have the same names, and the same shape for an image."""
    for name in {name: None for form in forms for name in form}:
        shapes = {str(tuple(form[name])) if name in form else "none" for form in forms}
        if len(shapes) > 1:
            raise InvspecError(
                f"{name} of {words(attack)} differs from {pieces} to {pieces}: for one image, "
                f"found {' and '.join(sorted(shapes))}",
                hint=f"give paths as many vertices in every {pieces}, by repeating the last one",
            )


def _require_form(
    value: object, dtype: torch.dtype, shape: tuple[int, ...], name: str, hint: str
) -> None:
    """A part of a result must be a tensor of a dtype and shape."""
    expected = torch.empty(shape, dtype=dtype, device="meta")
    if isinstance(value, Tensor) and (value.shape, value.dtype) == (expected.shape, dtype):
        return
    found = _kind(value) if isinstance(value, Tensor) else f"a {type(value).__name__}"
    raise InvspecError(f"{name} is {found}, expected {_kind(expected)}", hint=hint)


def _refuse(bad: Tensor, batch: Batch, message: str, hint: str) -> None:
    """Raise if an example is bad (B,); {} in the message becomes the number of those."""
    if not bool(bad.any()):
        return
    rows = bad.nonzero().flatten().tolist()
    noun = "image" if batch.ends is None else "pair"
    first = f"{noun} {int(batch.index[rows[0]])} is the first"
    counted = message.replace("{}", f"{len(rows)} of {len(batch)}")
    raise InvspecError(f"{counted}; {first}", hint=hint)


def _kind(tensor: Tensor) -> str:
    return f"{str(tensor.dtype).removeprefix('torch.')} {tuple(tensor.shape)}"
