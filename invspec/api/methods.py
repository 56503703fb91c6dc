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
from invspec.api.specs import folders_of_environment
from invspec.data import Examples, Split, TensorSplit, judged_from
from invspec.errors import InvspecError, SpecError, SpecErrors, counted, first_line
from invspec.execution.devices import refuse_unsupported
from invspec.execution.pools.local import CPU_BATCH, GPU_BATCH
from invspec.kinds import Attack, Measure, Method, outline, plain
from invspec.memory import BLOCK, Limit
from invspec.ops.generators import seeded
from invspec.ops.modules import device_of
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
from invspec.perform.splits import require_in_bounds
from invspec.perform.untouched import untouched
from invspec.perform.words import words
from invspec.plan.validation.models import mismatch
from invspec.registry import cards, methods
from invspec.report.pages import fragments

if TYPE_CHECKING:
    from pandas import DataFrame


@dataclass(frozen=True)
class Attacked(Examples):
    """What an attack made of some images, judged in float32, for measures and to look at.

    x_adv (N, C, H, W) are the attacked images, judged the columns (N,): y, prediction,
    prediction_adv, confidence, confidence_adv, linf, l2, forwards, backwards. All are on the CPU.
    called is the attack in words. A notebook shows the first images, before and after.
    """

    called: str = "attack"

    def __repr__(self) -> str:
        return f"<{self._sentence()}>"

    def _repr_html_(self) -> str:
        return fragments.of_attacked(self, self._sentence())

    def _sentence(self) -> str:
        """What the attack did: PGD (eps 0.1) on 9 images: accuracy 1.000 before and 0.333 after."""
        judged = self.judged
        before, after = (
            float(right.double().mean()) for right in (judged.correct, judged.correct_adv)
        )
        accuracy = f"accuracy {before:.3f} before and {after:.3f} after"
        distance = (
            f"median linf {float(judged.linf.median()):.3g}, l2 {float(judged.l2.median()):.3g}"
        )
        return f"{self.called} on {counted(len(judged.y), 'image')}: {accuracy}; {distance}"

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
        eval mode and left as it was. x: images (N, C, H, W), float32 in bounds or uint8, on any
        device. y: labels (N,) int64. x_target, y_target: for walks, the image of
        another class that each image goes to, and its label. seed: names the random draws, which
        are each example's own, so that batch_size changes no number.

        Raises: InvspecError if a tensor or the logits have another form, if the net is no function
            of the image alone, or if the attack breaks a promise.
        """
        attack, name = self.method, type(model).__name__
        _require_net(model)
        _require_fit(attack, model)
        if batch_size is not None and batch_size < 1:
            raise InvspecError(f"expected batch_size 1 or more, found {batch_size}")
        images = _images(attack, x, y, x_target, y_target, bounds)
        device = device_of(model)
        images = images.to(device)
        draws = f"{_name(attack)}, seed {seed}"
        size = batch_size or (CPU_BATCH if device.type == "cpu" else GPU_BATCH)
        with _judging(model, images, words(attack)) as (net, classes):
            _require_labels(classes, y=y, y_target=y_target)
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
            called=words(attack),
        )


@dataclass(frozen=True)
class Measurer:
    """A measure that can be called on one's own net and on attacked images."""

    method: Measure

    def __call__(
        self, model: nn.Module, *attacked: Examples, oracle: nn.Module | None = None
    ) -> DataFrame:
        """Score what attacks made of images.

        model: the net that was attacked, which measures of stored predictions do not run again.
        attacked: the results of one attack, or of as many as the measure takes, in its order.
        oracle: for measures that need one, a net that is the truth.

        Returns a row for each number: the coordinates that tell its rows apart, value, low, high
        (its 95 % interval over examples) and n, the number of examples or sources.

        Raises: SpecError if the number of attacks is wrong or something is lacking; InvspecError if
            a net is no function of the image alone.
        """
        import pandas as pd

        measure, user = self.method, words(self.method)
        for net in (model, oracle):
            if net is not None:
                _require_net(net)
        _require_fit(measure, model)
        self._check(attacked, oracle)
        images = attacked[0].clean
        with ExitStack() as stack:
            used, answer = Absent(), None
            if measure.wants_model:
                used, _ = stack.enter_context(_judging(model, images, user))
            if oracle is not None:
                answer = _answers(*stack.enter_context(_judging(oracle, images, user)), oracle)
            stack.enter_context(seeded(f"scoring {_name(measure)}"))
            scored = measure.score(used, *(replace(one, oracle=answer) for one in attacked))
        numbers = zip(scored.rows, intervals(scored.rows), strict=True)
        return pd.DataFrame(
            {**row.where, "value": own.value, "low": own.low, "high": own.high, "n": own.n}
            for row, own in numbers
        )

    def _check(self, attacked: tuple[Examples, ...], oracle: nn.Module | None) -> None:
        measure, name = self.method, words(self.method)
        for one in attacked:
            if not isinstance(one, Examples):  # pyright: ignore[reportUnnecessaryIsInstance]
                hint = "give what attack(...)(model, x, y) returned"
                found = f"found a {type(one).__name__}"
                raise SpecError(f"{name} takes attacked images, {found}", hint=hint)
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
    cards.add_all(folders_of_environment())
    method = cast(Attack, _made("attack", name, fields))
    if method.wants_generator:
        hint = "use it in a spec, which names its generator"
        raise SpecError(f"attack {name} needs a generator", hint=hint)
    return Attacker(method)


def measure(name: str, /, **fields: Any) -> Measurer:
    """A measure of the registry, to be called on one's own net and what attacks made.

    name and fields are as in a spec; `invspec list measure NAME` shows them.

    Raises: SpecError if there is no such measure, or a field is wrong.
    """
    cards.add_all(folders_of_environment())
    return Measurer(cast(Measure, _made("measure", name, fields)))


def _made(kind: cards.Kind, name: object, fields: dict[str, Any]) -> Method:
    """A method by its name. Raises: SpecError that names the fields that are wrong."""
    if not isinstance(name, str):
        raise SpecError(f"expected the name of an attack or a measure, found {name!r}")
    try:
        return methods.make(kind, name, fields)
    except SpecError as problem:
        places = (".".join(map(str, (name, *part.path))) for part in problem.problems)
        named = [
            SpecError(part.message, where=part.where or place, hint=part.hint)
            for part, place in zip(problem.problems, places, strict=True)
        ]
        raise (SpecErrors(named) if len(named) > 1 else named[0]) from None


def _images(
    attack: Attack,
    x: Tensor,
    y: Tensor,
    x_target: Tensor | None,
    y_target: Tensor | None,
    bounds: Bounds,
) -> Split:
    """The images, or their pairs, on the CPU. Raises: InvspecError if tensors have another form."""
    name = words(attack)
    if (x_target is None) != (y_target is None):
        raise InvspecError("x_target and y_target belong together", hint="give both, or neither")
    if attack.wants_target and x_target is None:
        hint = "give x_target, images of other classes, and y_target, their labels"
        raise InvspecError(f"{name} needs a target for each image", hint=hint)
    _require_form("x", x, "y", y)
    x, y = x.detach().cpu(), y.cpu()
    sources = TensorSplit(x, y, bounds=bounds)
    if x_target is None or y_target is None:
        return sources
    _require_form("x_target", x_target, "y_target", y_target)
    x_target, y_target = x_target.detach().cpu(), y_target.cpu()
    if x_target.dtype != x.dtype:
        dtypes = f"{_dtype(x_target)} and {_dtype(x)}"
        raise InvspecError(f"expected x_target and x of one dtype, found {dtypes}")
    if x_target.shape != x.shape:
        found = f"x_target {tuple(x_target.shape)} and x {tuple(x.shape)}"
        raise InvspecError(f"expected a target of the same shape for each image, found {found}")
    if bool((y_target == y).any()):
        raise InvspecError("a target has the label of its image", hint="choose other targets")
    both = TensorSplit(torch.cat([x, x_target]), torch.cat([y, y_target]), bounds=bounds)
    _require_targets(TensorSplit(x_target, y_target, bounds=bounds))
    place = torch.arange(len(x))
    return PairedSplit(both, place, place + len(x), place)


def _require_form(x_name: str, x: object, y_name: str, y: object) -> None:
    """Images and labels must be tensors of the form that is documented. Raises: InvspecError."""
    for name, value in ((x_name, x), (y_name, y)):
        if not isinstance(value, Tensor):
            hint = f"torch.as_tensor({name})"
            found = f"{type(value).__module__}.{type(value).__name__}".removeprefix("builtins.")
            raise InvspecError(f"expected {name} as a tensor, found a {found}", hint=hint)
    x, y = cast(Tensor, x), cast(Tensor, y)
    if x.ndim != 4 or x.dtype not in (torch.float32, torch.uint8):
        found = f"{tuple(x.shape)} {_dtype(x)}"
        raise InvspecError(f"expected {x_name} (N, C, H, W), float32 or uint8, found {found}")
    if y.shape != x.shape[:1] or y.dtype != torch.int64 or not len(y):
        found = f"{tuple(y.shape)} {_dtype(y)}"
        raise InvspecError(f"expected {y_name} ({len(x)},) int64, at least one, found {found}")


def _require_targets(targets: Split) -> None:
    """Targets must be finite and in bounds, as images are. Raises: InvspecError."""
    for batch in targets.batches(GPU_BATCH):
        try:
            require_in_bounds(batch.x, batch.bounds)
        except InvspecError as problem:
            raise InvspecError(f"x_target: {problem.message}", hint=problem.hint) from None


def _require_labels(classes: int, **labels: Tensor | None) -> None:
    """Labels must be classes of the net. Raises: InvspecError."""
    for name, y in labels.items():
        if y is not None and not 0 <= int(y.min()) <= int(y.max()) < classes:
            found = f"{int(y.min())} to {int(y.max())}"
            raise InvspecError(f"the net has {classes} logits, and {name} is from {found}")


def _require_net(model: object) -> None:
    """A net must be a module in float32, on a CPU or CUDA, outside of inference mode.

    Raises: InvspecError.
    """
    if not isinstance(model, nn.Module):
        hint = "wrap a function in a torch.nn.Module whose forward calls it"
        raise InvspecError(f"expected a torch.nn.Module, found a {type(model).__name__}", hint=hint)
    other = {_dtype(w) for w in model.parameters() if w.is_floating_point()} - {"float32"}
    if other:
        name = type(model).__name__
        hint = "model.float(): results are judged in float32"
        raise InvspecError(f"net {name} has weights in {' and '.join(sorted(other))}", hint=hint)
    device = device_of(model)
    refuse_unsupported(device)
    if torch.is_autocast_enabled(device.type):
        hint = "call it outside of torch.autocast()"
        raise InvspecError("results are judged in float32, not in the type of autocast", hint=hint)
    if torch.is_inference_mode_enabled():
        hint = "call it outside of torch.inference_mode()"
        raise InvspecError("attacks and measures need gradients", hint=hint)


def _require_fit(method: Attack | Measure, model: nn.Module) -> None:
    """A net must have what a method needs of it. Raises: SpecError."""
    for problem in mismatch(method, words(method), model, type(model).__name__):
        raise problem


def _dtype(tensor: Tensor) -> str:
    return str(tensor.dtype).removeprefix("torch.")


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
        classes = _probe(net, batch.x.to(device_of(model)), type(model).__name__)
        assert net.findings is not None, "a probed net has findings"
        with untouched(model, user, net.findings.own_changes):
            yield net, classes
    finally:
        for weight in trainable:
            weight.requires_grad_(True)
        for module, mode in modes.items():
            module.training = mode


def _probe(net: Padded, x: Tensor, name: str) -> int:
    """Examine a net by a few images (B, C, H, W). Returns its number of classes.

    Raises: InvspecError if it cannot take them, or is no function of the image.
    """
    try:
        with torch.no_grad():
            logits = net(x)
        if not isinstance(logits, Tensor) or logits.ndim != 2 or len(logits) != len(x):
            shape = tuple(logits.shape) if isinstance(logits, Tensor) else type(logits).__name__
            raise InvspecError(f"net {name} returns {shape}, expected logits ({len(x)}, classes)")
        net.findings = soundness.examine(net, x)
        _refuse_flaw(net.findings, name)
        return logits.shape[1]
    except RuntimeError as problem:
        shape = "x".join(map(str, x.shape[1:]))
        message = f"net {name} cannot take images of {shape}: {first_line(problem)}"
        raise InvspecError(message) from None


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
    device = device_of(oracle)
    return lambda x: require_oracle(net(x.to(device)), len(x), subject)


def _name(method: Method) -> str:
    """What random draws of a method are named after."""
    return json.dumps(outline(method), sort_keys=True)
