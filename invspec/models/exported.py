"""Programs that torch.export wrote, which bring their own weights."""

from __future__ import annotations

import json
import logging
import re
import zipfile
from collections import Counter
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import torch
from pydantic import Field
from torch import Tensor, nn

from invspec.errors import InvspecError, first_line
from invspec.files.folder import located
from invspec.files.weights import checked
from invspec.layers.standardise import Mean, StandardisedNet, StandardisingModel, Std
from invspec.ops.types import Shape

MODEL, INPUTS = "models/model.json", "data/sample_inputs/model.pt"
CONFIG = "data/{0}/model_{0}_config.json"  # of weights and of constants: which file holds which tensor, and how
PLAIN = re.compile(
    rf"archive_format|archive_version|version|byteorder|\.data/.*|extra/.*|{re.escape(MODEL)}|{re.escape(INPUTS)}"
    r"|data/weights/(model_weights_config\.json|weight_\d+)|data/constants/(model_constants_config\.json|tensor_\d+)"
)


class ExportedProgram(StandardisingModel):
    """A classifier as torch.export.save wrote it to a .pt2 file, with the weights it was exported with.

    The defence untrained leaves these as they are. Export the net in eval mode, for a dynamic number of images:

        program = torch.export.export(net.eval(), (x,), dynamic_shapes=({0: torch.export.Dim("batch")},))

    It takes one tensor (B, C, H, W) of pixels, or of pixels behind this model's mean and std, to logits (B, K). Whether
    it is in training mode changes nothing: dropout and batch norm are what they were when it was exported. Its graph
    should name no device, or it runs on that one only. The file is read to plan with it, for it says what fits.

    Safety: a program is code, made of torch's operators, and its reader in torch is not meant for files of strangers.
    The file must have the given SHA-256, which is checked before anything in it is read; archives with compiled or
    pickled parts, other than plain tensors, are refused, as are entries that one reader may see and another not, and
    guards, which are Python, are not run. Shapes are still evaluated as expressions: take programs only from those
    whose code you would run.

    Raises: InvspecError where the file cannot be read, is another one or no such program; ValueError where it takes
    other images or a fixed number of them.
    """

    file: str = Field(
        min_length=1, description="path of the .pt2 file, from the folder INVSPEC_DATA or absolute"
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, 64 hexadecimal digits"
    )
    mean: Mean = (0.0,)
    std: Std = (1.0,)

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        path = located(self.file)
        program = opened(checked(path, self.sha256), path)
        _require_images(program, shape)
        return self.standardised(Program(program.module(check_guards=False)), shape[0])

    def sketch(self, shape: Shape, classes: int) -> StandardisedNet:
        return self.build(shape, classes)


class Program(nn.Module):
    """The graph of a program as a net whose mode changes nothing."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return self.graph(x)

    def train(self, mode: bool = True) -> Program:
        """Note the mode, which a graph itself refuses to."""
        for module in self.modules():
            module.training = mode
        return self


def opened(content: bytes, path: Path) -> Any:
    """The program in a file's bytes. Raises InvspecError where there is none, or one with pickled or compiled parts."""
    import torch.export  # with what it needs, a second to import

    try:
        members = _members(content)
        foreign = _foreign(members)
        if foreign is None:
            with _logged_raised("torch.export"):
                return torch.export.load(_archive(members))
    except (
        Exception
    ) as problem:  # of damaged bytes, whatever the step raises that stumbles over them
        raise InvspecError(
            f"{path} holds no program that can be loaded: {first_line(problem)}",
            hint="expected a file that torch.export.save of this version of torch wrote",
        ) from None
    raise InvspecError(
        f"{path} holds {foreign}, which could run any code",
        hint="export a net of plain tensors with torch.export.save of this version of torch",
    )


def _members(content: bytes) -> dict[str, bytes]:
    """What an archive holds, by the names in its one folder, of any name.

    Raises: ValueError where two readers could differ in what it holds, BadZipFile and the like where it is damaged.
    """
    with zipfile.ZipFile(BytesIO(content)) as archive:
        names = archive.namelist()
        if twice := sorted(name for name, times in Counter(names).items() if times > 1):
            raise ValueError(f"{twice[0]} stands twice in it")
        parts = [name.partition("/") for name in names]
        if len({root for root, _, _ in parts}) != 1 or not all(inside for _, _, inside in parts):
            raise ValueError("it is not one folder of files")
        return {
            inside: archive.read(name) for name, (_, _, inside) in zip(names, parts, strict=True)
        }


def _archive(members: Mapping[str, bytes]) -> BytesIO:
    """The members in an archive of our own, so that what is loaded is what was checked, whoever reads it."""
    file = BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, content in members.items():
            archive.writestr(f"program/{name}", content)
    file.seek(0)
    return file


def _foreign(members: Mapping[str, bytes]) -> str | None:
    """What among the members is neither a graph nor plain tensors, if anything.

    Raises: ValueError, KeyError and the like where they are not those of torch.export.
    """
    if MODEL not in members:
        raise ValueError(f"it has no {MODEL}")
    if others := sorted(name for name in members if not PLAIN.fullmatch(name)):
        return others[0]
    for part, prefix in (("weights", "weight_"), ("constants", "tensor_")):
        for name, about in json.loads(members[CONFIG.format(part)])["config"].items():
            if about["use_pickle"] or not about["path_name"].startswith(prefix):
                return f"{name} as a pickle"
    torch.load(BytesIO(members[INPUTS]), weights_only=True)  # or torch.export would try without
    return None


@contextmanager
def _logged_raised(name: str) -> Generator[None]:
    """Let an exception that a logger would only tell of be raised, and nothing be logged."""

    def hear(record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[1]:
            raise record.exc_info[1]
        return False

    logger = logging.getLogger(name)
    logger.addFilter(hear)
    try:
        yield
    finally:
        logger.removeFilter(hear)


def _require_images(program: Any, shape: Shape) -> None:
    """Raises ValueError where the program takes anything but any number of images (C, H, W)."""
    placeholders = {
        node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"
    }
    inputs = [placeholders[name] for name in program.graph_signature.user_inputs]
    if len(inputs) != 1 or inputs[0].ndim != 4:
        raise ValueError("the program takes something else than one tensor (B, C, H, W)")
    batch, *image = inputs[0].shape
    if isinstance(batch, int):
        dynamic = "dynamic_shapes=({0: torch.export.Dim('batch')},)"
        raise ValueError(
            f"the program takes exactly {batch} images at once; export it with {dynamic}"
        )
    if any(
        isinstance(side, int) and side != wanted for side, wanted in zip(image, shape, strict=True)
    ):
        raise ValueError(f"the program takes images of {'x'.join(map(str, image))}")
