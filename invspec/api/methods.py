"""Attacks and measures by name, on one's own nets and tensors."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Generator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import Tensor, nn

from invspec.analysis.intervals import intervals
from invspec.data import Examples, Split, TensorSplit, judged_from
from invspec.errors import InvspecError, SpecError, counted
from invspec.kinds import Attack, Measure, Method, outline, plain
from invspec.memory import BLOCK, Limit
from invspec.ops.generators import seeded
from invspec.ops.types import Bounds
from invspec.perform import soundness
from invspec.perform.attack import joined, within_memory
from invspec.perform.judge import judge
from invspec.perform.pairs import PairedSplit
from invspec.perform.promises import (
    Subject,
    require_images,
    require_oracle,
    require_perturbed,
)
from invspec.perform.proxies import Padded
from invspec.perform.score import Absent
from invspec.perform.untouched import untouched
from invspec.perform.words import words
from invspec.registry import methods

if TYPE_CHECKING:
    from pandas import DataFrame

# examples that an attack gets at once; the number changes no result
CPU_BATCH, GPU_BATCH = 128, 1024


@dataclass(frozen=True)
class Attacked(Examples):
    """What an attack made of some images, judged in float32, for measures and to look at.

    x_adv (N, C, H, W) are the attacked images, judged the columns (N,): y, prediction,
    prediction_adv, confidence, confidence_adv, linf, l2, forwards, backwards. All are on the CPU.
    """

    @property
    def path(self) -> Tensor | None:
        """The vertices (N, T, C, H, W) of an attack that walks; None if it keeps none."""
        return self.tensors["path"] if self.has("path") else None

    def frame(self) -> DataFrame:
        """A row for each example, with all judged columns."""
        import pandas as pd

        return pd.DataFrame({name: column.numpy() for name, column in vars(self.judged).items()})


@dataclass(frozen=True)
class Attacker:
    """An attack that can be called on one's own net and tensors."""

    method: Attack

    def __call__(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        x_target: Tensor | None = None,
        y_target: Tensor | None = None,
        *,
        bounds: Bounds = (0.0, 1.0),
        seed: int = 0,
        batch_size: int | None = None,
    ) -> Attacked:
        """Attack images, and judge the result with the same net.

        model: maps images (B, C, H, W) to logits (B, K), and normalises them itself; it is used in
        eval mode and left as it was. x: images (N, C, H, W), float32 in bounds or uint8, on the
        device of the model. y: labels (N,) int64. x_target, y_target: for walks, the image of
        another class that each image goes to, and its label. seed: names the random draws, which
        are each example's own, so that batch_size changes no number.

        Raises: InvspecError if a tensor or the logits have another form, if the net is no function
            of the image alone, or if the attack breaks a promise.
        """
        attack, name = self.method, type(model).__name__
        images = _images(attack, x, y, x_target, y_target, bounds)
        device = images.labels().device
        draws = f"{_name(attack)}, seed {seed}"
        size = batch_size or (CPU_BATCH if device.type == "cpu" else GPU_BATCH)
        with _judging(model, images, words(attack)) as (net, classes):
            subject, judged = Subject(name, "the images given", classes), list[dict[str, Tensor]]()
            for batch in images.batches(size):
                require_images(batch, subject)
                pieces = within_memory(attack, net, batch, draws, Limit())
                for piece, copy, perturbed, _ in pieces:
                    require_perturbed(perturbed, copy, piece, attack, net, subject)
                    random = f"judging {draws} {int(piece.index[0])}"
                    with seeded(random) if net.is_random else nullcontext():
                        judged.append(judge(net, piece, perturbed, subject))
        columns = joined(judged, attack)
        settings = plain(attack)["fields"]
        return Attacked(
            images.to("cpu"),
            judged_from(columns),
            columns,
            settings,
            path_promise=attack.path_promise,
        )


@dataclass(frozen=True)
class Measurer:
    """A measure that can be called on one's own net and on attacked images."""

    method: Measure

    def __call__(
        self, model: nn.Module, *attacked: Examples, oracle: nn.Module | None = None
    ) -> DataFrame:
        """Score what attacks made of images.

        model: the net that was attacked. attacked: the results of one attack, or of as many as the
        measure takes, in its order. oracle: for measures that need one, a net that is the truth.

        Returns a row for each number: the coordinates that tell its rows apart, value, low, high
        (its 95 % interval over examples) and n, the number of examples or sources.

        Raises: SpecError if the number of attacks is wrong or something is lacking; InvspecError if
            a net is no function of the image alone.
        """
        import pandas as pd

        measure, user = self.method, words(self.method)
        self._check(attacked, oracle)
        images = attacked[0].clean
        with ExitStack() as stack:
            net, answer = Absent(), None
            if measure.wants_model:
                net, _ = stack.enter_context(_judging(model, images, user))
            if oracle is not None:
                answer = _answers(*stack.enter_context(_judging(oracle, images, user)), oracle)
            stack.enter_context(seeded(f"scoring {_name(measure)}"))
            scored = measure.score(net, *(replace(one, oracle=answer) for one in attacked))
        numbers = zip(scored.rows, intervals(scored.rows), strict=True)
        return pd.DataFrame(
            {**row.where, "value": own.value, "low": own.low, "high": own.high, "n": own.n}
            for row, own in numbers
        )

    def _check(self, attacked: tuple[Examples, ...], oracle: nn.Module | None) -> None:
        measure, name = self.method, words(self.method)
        least, most = measure.takes
        if not least <= len(attacked) <= most or measure.takes_sweep:
            if measure.takes_sweep:
                raise SpecError(f"{name} reads a sweep of a spec, and cannot be called on tensors")
            expected = str(least) if least == most else f"{least} to {most}"
            message = f"{name} takes {expected}, found {counted(len(attacked), 'attack')}"
            raise SpecError(message, hint="give what attack(...)(model, x, y) returned")
        if measure.wants_target and not isinstance(attacked[-1].clean, PairedSplit):
            hint = "give the attack x_target and y_target"
            raise SpecError(f"{name} needs an attack on pairs of images", hint=hint)
        if measure.wants_oracle and oracle is None:
            raise SpecError(f"{name} needs an oracle", hint="oracle=net, which is the truth")


def attack(name: str, /, **fields: Any) -> Attacker:
    """An attack of the registry, to be called on one's own net and tensors.

    name and fields are as in a spec; `invspec list attack NAME` shows them. A field that holds a
    method is a dictionary with `use`.

    >>> attack("pgd", eps=8 / 255, steps=10).method.eps
    0.03137254901960784

    Raises: SpecError if there is no such attack, or a field is wrong.
    """
    method = cast(Attack, methods.make("attack", name, fields))
    if method.wants_generator:
        hint = "use it in a spec, which names its generator"
        raise SpecError(f"attack {name} needs a generator", hint=hint)
    return Attacker(method)


def measure(name: str, /, **fields: Any) -> Measurer:
    """A measure of the registry, to be called on one's own net and what attacks made.

    name and fields are as in a spec; `invspec list measure NAME` shows them.

    Raises: SpecError if there is no such measure, or a field is wrong.
    """
    return Measurer(cast(Measure, methods.make("measure", name, fields)))


def _images(
    attack: Attack,
    x: Tensor,
    y: Tensor,
    x_target: Tensor | None,
    y_target: Tensor | None,
    bounds: Bounds,
) -> Split:
    """The images, or their pairs. Raises: InvspecError if tensors have another form."""
    name = words(attack)
    if (x_target is None) != (y_target is None):
        raise InvspecError("x_target and y_target belong together", hint="give both, or neither")
    if attack.wants_target and x_target is None:
        hint = "give x_target, images of other classes, and y_target, their labels"
        raise InvspecError(f"{name} needs a target for each image", hint=hint)
    _require_form("x", x, "y", y)
    sources = TensorSplit(x.detach(), y, bounds=bounds)
    if x_target is None or y_target is None:
        return sources
    _require_form("x_target", x_target, "y_target", y_target)
    if x_target.shape != x.shape:
        found = f"x_target {tuple(x_target.shape)} and x {tuple(x.shape)}"
        raise InvspecError(f"expected a target of the same shape for each image, found {found}")
    if bool((y_target == y).any()):
        raise InvspecError("a target has the label of its image", hint="choose other targets")
    both = TensorSplit(torch.cat([x, x_target]).detach(), torch.cat([y, y_target]), bounds=bounds)
    place = torch.arange(len(x))
    return PairedSplit(both, place, place + len(x), place)


def _require_form(x_name: str, x: Tensor, y_name: str, y: Tensor) -> None:
    if x.ndim != 4 or x.dtype not in (torch.float32, torch.uint8):
        found = f"{tuple(x.shape)} {str(x.dtype).removeprefix('torch.')}"
        raise InvspecError(f"expected {x_name} (N, C, H, W), float32 or uint8, found {found}")
    if y.shape != x.shape[:1] or y.dtype != torch.int64 or not len(y):
        found = f"{tuple(y.shape)} {str(y.dtype).removeprefix('torch.')}"
        raise InvspecError(f"expected {y_name} ({len(x)},) int64, at least one, found {found}")


@contextmanager
def _judging(
    model: nn.Module, images: Split, user: str
) -> Generator[tuple[Padded, int], None, None]:
    """The net in eval mode with frozen weights, and its number of classes; put back afterwards."""
    modes = {module: module.training for module in model.modules()}
    trainable = [weight for weight in model.parameters() if weight.requires_grad]
    try:
        model.eval().requires_grad_(False)
        net = Padded(model)
        (batch,) = images.head(BLOCK).batches(BLOCK)
        device = next((weight.device for weight in model.parameters()), batch.x.device)
        net.findings = soundness.examine(net, batch.x.to(device))
        _refuse_flaw(net.findings, type(model).__name__)
        with torch.no_grad():
            classes = net(batch.x.to(device)).shape[-1]
        with untouched(model, user, net.findings.own_changes):
            yield net, classes
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode


def _refuse_flaw(findings: soundness.Findings, name: str) -> None:
    """Raises: InvspecError if a net is no function of the image; warns if it draws at random."""
    if (flaw := findings.flaw) is None:
        return
    if not flaw.is_random:
        raise InvspecError(f"net {name} {flaw.message}", hint=flaw.hint)
    warnings.warn(f"net {name} {flaw.message} ({flaw.hint})", stacklevel=4)


def _answers(net: Padded, classes: int, oracle: nn.Module) -> Callable[[Tensor], Tensor]:
    """An oracle whose logits are verified."""
    subject = Subject(type(oracle).__name__, "the images given", classes)
    return lambda x: require_oracle(net(x), len(x), subject)


def _name(method: Method) -> str:
    """What random draws of a method are named after."""
    return json.dumps(outline(method), sort_keys=True)
