"""Programs written by torch.export, which contain their weights."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

from pydantic import Field
from torch import Tensor, nn

from invspec.files.digests import Sha256
from invspec.files.folder import located
from invspec.files.programs import load_program
from invspec.files.weights import checked
from invspec.layers.standardise import Mean, StandardisedNet, StandardisingModel, Std
from invspec.ops.types import Shape


class ExportedProgram(StandardisingModel):
    """A classifier in a .pt2 file written by torch.export.save, with its weights.

    The defence untrained keeps these weights. Export the net in eval mode, with a dynamic batch
    dimension:

        batch = torch.export.Dim("batch")
        program = torch.export.export(net.eval(), (x,), dynamic_shapes=({0: batch},))

    The program maps one tensor (B, C, H, W), the pixels standardised by this model's mean and std,
    to logits (B, K). Train and eval mode are the same: dropout and batch norm behave as exported. A
    graph that names a device runs on that device only. Planning reads the file, because only the
    file says which shapes it accepts.

    Safety: a program is code made of torch's operators, and torch does not promise that loading an
    untrusted file is safe. The file must have the given SHA-256, which is checked before anything
    in it is read. Archives with compiled parts, with pickles other than plain tensors, or with
    entries that two readers could see differently are refused. Guards, which are Python, are not
    run. Shapes are still evaluated as expressions: use programs only from people whose code you
    would run.

    Raises: InvspecError if the file cannot be read, has a different digest or is not such a
    program; ValueError if the program takes images of another shape or a fixed number of them.
    """

    weights_from: ClassVar[Literal["drawn", "published", "none"]] = "published"

    file: str = Field(
        min_length=1, description="path of the .pt2 file, absolute or relative to INVSPEC_DATA"
    )
    sha256: Sha256
    mean: Mean = (0.0,)
    std: Std = (1.0,)

    def build(self, shape: Shape, classes: int) -> StandardisedNet:
        path = located(self.file)
        program = load_program(checked(path, self.sha256), path)
        _require_images(program, shape)
        return self.standardised(Program(program.module(check_guards=False)), shape[0])

    def sketch(self, shape: Shape, classes: int) -> StandardisedNet:
        return self.build(shape, classes)


class Program(nn.Module):
    """The graph of a program as a net; train and eval mode have no effect on it."""

    def __init__(self, graph: nn.Module) -> None:
        super().__init__()
        self.graph = graph

    def forward(self, x: Tensor) -> Tensor:
        """x (B, C, H, W) to logits (B, K)."""
        return self.graph(x)

    def train(self, mode: bool = True) -> Program:
        """Record the mode; the graph's own `train` raises an error."""
        for module in self.modules():
            module.training = mode
        return self


def _require_images(program: Any, shape: Shape) -> None:
    """Raise ValueError unless the program takes any number of images (C, H, W)."""
    placeholders = {
        node.name: node.meta["val"] for node in program.graph.nodes if node.op == "placeholder"
    }
    # weights are placeholders, too; the signature says which ones the user passes
    inputs = [placeholders[name] for name in program.graph_signature.user_inputs]
    if len(inputs) != 1 or inputs[0].ndim != 4:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in inputs) or "no tensor"
        raise ValueError(f"the program takes {shapes}, expected one tensor (B, C, H, W)")
    batch, *image = inputs[0].shape
    if isinstance(batch, int):
        raise ValueError(
            f"the program takes exactly {batch} images at once; export it with "
            "dynamic_shapes=({0: torch.export.Dim('batch')},)"
        )
    sides = zip(image, shape, strict=True)
    if any(isinstance(side, int) and side != expected for side, expected in sides):
        raise ValueError(
            f"the program takes images of {'x'.join(map(str, image))}, "
            f"expected {'x'.join(map(str, shape))}"
        )
