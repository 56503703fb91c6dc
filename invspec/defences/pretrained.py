"""Weights from a file in place of training."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.defences.untrained import Untrained
from invspec.files.state_dicts import load_weights
from invspec.kinds import Defence
from invspec.ops.draws import Stream


class Pretrained(Defence):
    """Load a state dict that was trained elsewhere. Nothing in the file can run code.

    The file is what torch.save wrote or, by its name, a .safetensors, as a training leaves in the store. Its names and
    shapes must be those of the model, one for one, or of the net behind its standardisation: published weights start at
    0.weight, not at net.0.weight. Mean and deviation, which no state dict holds, are the model's fields.

    The file must have the given SHA-256, since the weights decide every number. A smoke run leaves the net untrained
    and reads no file.

    Raises: InvspecError where the file cannot be read, is another one, or does not fit the net.
    """

    file: str = Field(
        min_length=1, description="path of the file, from the folder INVSPEC_DATA or absolute"
    )
    sha256: str = Field(
        pattern=r"^[0-9a-f]{64}$", description="SHA-256 of the file, 64 hexadecimal digits"
    )
    entry: str = Field(
        default="",
        description="where in the file the state dict stands, like state_dict.0; default: it is the file",
    )

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        load_weights(model, self.file, self.sha256, self.entry)
        return {}

    def smoke(self) -> Defence:  # pyright: ignore[reportIncompatibleMethodOverride]  # cheaper than any of its own kind
        return Untrained()
