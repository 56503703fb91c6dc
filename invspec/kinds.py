"""The five kinds of method: frozen values whose fields are their hyperparameters and whose one verb is what they do.

This module does not import torch, so that a spec can be read and refused quickly.
"""

from __future__ import annotations

import math
import re
from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Protocol,
    Self,
    cast,
    get_args,
    runtime_checkable,
)

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)

from invspec.sources import source_of

if TYPE_CHECKING:
    from torch import Tensor, nn

    from invspec.data import (
        Batch,
        Curves,
        Examples,
        Journal,
        PathPromise,
        Perturbed,
        Scored,
        Split,
    )
    from invspec.ops.draws import Draws, Stream
    from invspec.ops.types import Bounds, Shape


SplitName = Literal["train", "val", "test"]


_REAL = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"


_FRACTION = re.compile(rf"\s*({_REAL})\s*(?:/\s*({_REAL})\s*)?")


def _fraction(value: Any) -> Any:
    """8/255 and 1e-3 arrive from YAML as texts."""
    if isinstance(value, bool):
        raise ValueError(f"expected a number, found {str(value).lower()}")
    if not isinstance(value, str):
        return value
    parts = _FRACTION.fullmatch(value)
    above, below = (float(parts[1]), float(parts[2] or 1)) if parts else (0.0, 0.0)
    if below == 0 or not (math.isfinite(below) and math.isfinite(above / below)):
        raise ValueError(f"expected a number or a fraction like 8/255, found {value[:40]!r}")
    return above / below


_NUMBER = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_FRACTION.pattern}$"}]}


Number = Annotated[
    float, BeforeValidator(_fraction), WithJsonSchema(_NUMBER)
]  # may be written 8/255 or 1e-3


Pixels = Number  # in units of the [0, 1] pixel range


def plain(value: Any) -> Any:
    """A value as JSON would hold it; methods become their identity."""
    return _as_json(value, lambda method: method.identity)


def _as_json(value: Any, of_method: Callable[[Method], Any]) -> Any:
    if isinstance(value, Method):
        return of_method(value)
    if isinstance(value, BaseModel):
        return {
            name: _as_json(getattr(value, name), of_method) for name in type(value).model_fields
        }
    if isinstance(value, tuple | list | frozenset):
        items: list[Any] = [_as_json(item, of_method) for item in value]  # pyright: ignore[reportUnknownVariableType]
        return sorted(items, key=str) if isinstance(value, frozenset) else items
    if isinstance(value, dict):
        items_of: dict[Any, Any] = value
        return {str(key): _as_json(item, of_method) for key, item in items_of.items()}
    return (
        value + 0.0 if isinstance(value, float) else value
    )  # -0.0 equals 0.0, and so must its text


def outline(value: Any) -> Any:
    """A value as JSON would hold it; methods become their outline."""
    return _as_json(value, lambda method: method.outline)


def _held(annotation: Any) -> set[Any]:
    """The types of which a field's annotation is made."""
    return {annotation}.union(*map(_held, get_args(annotation)))


class Method(BaseModel):
    """One named thing from a paper. Equal fields mean equal results, until `version` is raised."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", allow_inf_nan=False, arbitrary_types_allowed=True
    )
    kind: ClassVar[str]
    version: ClassVar[int] = 1

    @field_validator("*", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: Any, info: ValidationInfo) -> Any:
        """Left alone, pydantic reads true as 1, and YAML reads on as true."""
        annotation = cls.model_fields[info.field_name or ""].annotation
        if (
            isinstance(value, bool)
            and {int, float} & (held := _held(annotation))
            and bool not in held
        ):
            raise ValueError(f"expected a number, found {str(value).lower()}")
        return value

    @property
    def accepts(self) -> type | None:
        """The protocol that a model must meet (Standardised, Bijective), or None for any model."""
        return None

    @property
    def reads(self) -> Mapping[str, str]:
        """SHA-256, by name, of the files that decide its numbers and that no field holds the digest of.

        Raises: InvspecError where there is no such file.
        """
        return {}

    @property
    def identity(self) -> dict[str, Any]:
        """What a task's key is made of: kind and class, version, every field, and the files it reads, if any.

        Class names are unique among the methods of a kind that invspec has, so that moving a file changes no key. A
        class from elsewhere adds its module and the digest of its code.

        Raises: InvspecError where a file that it reads is missing.
        """
        return {
            "class": f"{self.kind}:{type(self).__qualname__}",
            "version": self.version,
            "fields": {name: plain(getattr(self, name)) for name in type(self).model_fields},
            **source_of(type(self)),
            **({"reads": dict(self.reads)} if self.reads else {}),
        }

    @property
    def outline(self) -> dict[str, Any]:
        """Kind, class and fields: what random draws are named after, whatever the version of the code."""
        fields = {name: outline(getattr(self, name)) for name in type(self).model_fields}
        return {"class": f"{self.kind}:{type(self).__qualname__}", "fields": fields}

    def smoke(self) -> Self:
        """The same method at the lowest price that still runs all of its code: one epoch, two steps."""
        cheap = {"epochs": 1, "steps": 2, "restarts": 1}
        changes: dict[str, Any] = {}
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, Method):
                changes[name] = value.smoke()
            elif isinstance(value, tuple):
                items = cast(tuple[Any, ...], value)
                changes[name] = tuple(
                    item.smoke() if isinstance(item, Method) else item for item in items
                )
            elif name in cheap and isinstance(value, int):
                changes[name] = min(value, cheap[name])
        return self.model_copy(update=changes)


class Dataset(Method):
    """Labelled images. shape (C, H, W), classes, bounds and counts are known without loading."""

    kind: ClassVar[str] = "dataset"

    @property
    @abstractmethod
    def shape(self) -> Shape:
        """(C, H, W)."""

    @property
    @abstractmethod
    def classes(self) -> int:
        """Number of classes, K."""

    @property
    def bounds(self) -> Bounds:
        """Least and largest value of a pixel."""
        return (0.0, 1.0)

    @abstractmethod
    def count(self, split: SplitName) -> int:
        """Number of examples in a split."""

    @abstractmethod
    def load(self, split: SplitName) -> Split:
        """Read a split. Raises InvspecError where the data is missing or damaged."""


class Model(Method):
    """A net that takes pixels in [0, 1], (B, C, H, W), to logits (B, K); it normalises inside."""

    kind: ClassVar[str] = "model"

    @abstractmethod
    def build(self, shape: Shape, classes: int) -> nn.Module:
        """A fresh net. Its initial weights come from torch's generator, which the caller seeds."""

    def sketch(self, shape: Shape, classes: int) -> nn.Module:
        """A net of the right shapes, to check what fits it before anything runs; here without numbers."""
        import torch

        with torch.device("meta"):
            return self.build(shape, classes)

    def deploy(self, net: nn.Module) -> nn.Module:
        """The trained net as attacks and measures see it: eval mode, weights that need no gradient."""
        return net.eval().requires_grad_(False)


class Defence(Method):
    """A way of training."""

    kind: ClassVar[str] = "defence"

    @abstractmethod
    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        """Fit the model in place, on the device of its weights, and tell how it went, one number an epoch by name.

        Raises: InvspecError where the loss is not finite.
        """


class Attack(Method):
    """A way of changing images, adversarial or not.

    sweep_field names the field, if there is one, with which the set that is searched grows, as a ball does with eps. What
    was fooled at a smaller value is then fooled at a larger one: a sweep over that field runs upwards, on the
    survivors only, and gives batch.start, what the run before found, for `perturb` to set out from; who withstands that
    is attacked once more without it.

    A needs_float32 attack ends so near to the decision boundary that what it finds in bfloat16 often is on the wrong side in
    float32, in which it is judged: it searches in float32 whatever the precision of the spec.

    Images of one that leaves_bounds may have pixels outside of their range, as metamers do.
    """

    kind: ClassVar[str] = "attack"
    sweep_field: ClassVar[str | None] = None
    needs_float32: ClassVar[bool] = False
    leaves_bounds: ClassVar[bool] = False

    @property
    def wants_target(self) -> bool:
        """Whether it needs batch.x_target, an image of another class: its sample then says which targets."""
        return False

    @property
    def path_vertices(self) -> int:
        """Most images that it keeps of an example's path, 0 if it keeps no path."""
        return 0

    @property
    def promise(self) -> PathPromise | None:
        """What holds for every path that it keeps; None if nothing is promised."""
        return None

    @abstractmethod
    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        """Change batch.x. Leaves the model's weights, their .grad and its mode alone."""


class Measure(Method):
    """A number, or a few, from what attacks left behind.

    One that takes_sweep takes a single attack in `of` and scores all of its sweep at once, in the order of the spec;
    others score each value of a sweep by itself. One that wants an oracle asks examples.oracle what images really show.
    """

    kind: ClassVar[str] = "measure"
    takes: ClassVar[tuple[int, int]] = (1, 1)  # least and most attacks in `of`
    takes_sweep: ClassVar[bool] = False
    wants_target: ClassVar[bool] = (
        False  # whether its last attack must be on pairs, with a target each
    )
    wants_oracle: ClassVar[bool] = (
        False  # whether the spec must name a second classifier, which is believed
    )

    @abstractmethod
    def score(self, model: nn.Module, *examples: Examples) -> Scored:
        """Reduce one or several attacks' examples on one model."""


@runtime_checkable
class Standardised(Protocol):
    """A model that subtracts a mean and divides by a standard deviation, per channel (C,), before its first layer."""

    @property
    def pixel_std(self) -> Tensor:
        """(C,), in units of the [0, 1] pixel range."""
        ...


@runtime_checkable
class TwoLayer(Protocol):
    """A model that is W2 relu(W1 x + b1) + b2 of the D flattened pixels, with h hidden units."""

    @property
    def hidden_weight(self) -> Tensor:
        """W1, (h, D)."""
        ...

    @property
    def hidden_bias(self) -> Tensor:
        """b1, (h,)."""
        ...

    @property
    def output_weight(self) -> Tensor:
        """W2, (K, h)."""
        ...

    @property
    def output_bias(self) -> Tensor:
        """b2, (K,)."""
        ...


@runtime_checkable
class Penalised(Protocol):
    """A model that adds a term of its own to the loss of its training."""

    def penalty(self) -> Tensor:
        """The term, a scalar, for the batch that the model saw last."""
        ...


@runtime_checkable
class Bijective(Protocol):
    """A model that is a bijection between its D pixels and a code of D numbers, K of which are its logits.

    What it does to pixels before, like scaling, is part of the bijection and of its log-determinant.
    """

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, C, H, W) to semantic (B, K), the logits, and nuisance (B, D - K), all else."""
        ...

    def encode_with_log_det(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The same, and the log of the Jacobian's absolute determinant (B,), in nats."""
        ...

    def decode(self, semantic: Tensor, nuisance: Tensor) -> Tensor:
        """The exact inverse of encode: x (B, C, H, W)."""
        ...


@runtime_checkable
class OfTorchvision(Protocol):
    """A net of torchvision, as the models torchvision, vgg19 and resnet50_imagenet are."""

    @property
    def arch(self) -> str:
        """Its name there."""
        ...


class Targets(BaseModel):
    """Images of the same split to walk to, never of the source's class: given, or drawn for all sources or for each."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    per_class: int | None = Field(
        default=None, ge=1, strict=True, description="so many of each class, for all sources"
    )
    indices: tuple[Annotated[int, Field(ge=0, strict=True)], ...] = Field(
        default=(), description="positions in the split, for all sources"
    )
    each: int | None = Field(
        default=None, ge=1, strict=True, description="so many for each source, of any other class"
    )
    seed: int = Field(default=0, ge=0, strict=True, description="of the draw")

    @model_validator(mode="after")
    def _chosen_one_way(self) -> Self:
        ways = [way for way in ("per_class", "indices", "each") if getattr(self, way)]
        if len(ways) != 1:
            found = " and ".join(ways) or "none"
            raise ValueError(f"targets have one of per_class, indices, each; found {found}")
        if len(set(self.indices)) < len(self.indices):
            raise ValueError("an index stands twice")
        return self


class Sample(BaseModel):
    """Which examples of a split an attack runs on; with targets, which pairs."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    split: SplitName = "test"
    limit: int | None = Field(
        default=None, ge=1, strict=True, description="first examples of the split"
    )
    per_class: int | None = Field(
        default=None, ge=1, strict=True, description="first examples of each class"
    )
    targets: Targets | None = Field(
        default=None, description="what attacks walk to that want a target"
    )

    @model_validator(mode="after")
    def _counted_one_way(self) -> Self:
        if self.limit is not None and self.per_class is not None:
            raise ValueError(
                f"limit {self.limit} and per_class {self.per_class} both fix the number; give one"
            )
        return self
