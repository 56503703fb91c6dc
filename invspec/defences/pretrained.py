"""Weights from a file instead of training."""

from __future__ import annotations

from pydantic import Field
from torch import nn

from invspec.data import Curves, Journal, Split
from invspec.files.digests import Sha256
from invspec.files.state_dicts import load_weights, require_weights
from invspec.ops.draws import Stream
from invspec.ops.types import Shape
from invspec.training.loaded import LoadedWeights


class Pretrained(LoadedWeights):
    """Load a state dict that was trained elsewhere. Nothing in the file can run code.

    The file was written by torch.save or by safetensors, like the nets in the store. Its names and
    shapes must be those of the model. Where the model normalises its images first, they may also be
    those of the net behind the normalisation, as in most published files; mean and standard
    deviation belong to the model, not to the state dict. One prefix that all names share, such as
    `module.` of DataParallel or `_orig_mod.` of torch.compile, is taken off; the counters of batch
    normalisation, num_batches_tracked, may be missing.

    The file must have the given SHA-256, because every result depends on the weights. A smoke run
    leaves the net untrained and reads no file.

    Raises: InvspecError if the file cannot be read, has another SHA-256, does not fit the net or
    holds numbers that are not finite.
    """

    file: str = Field(
        min_length=1, description="path of the file, relative to INVSPEC_DATA or absolute"
    )
    sha256: Sha256
    entry: str = Field(
        default="",
        description="entry of the file that holds the state dict, such as state_dict, or "
        "checkpoint.0 for the first of a list; or the prefix of the names to take; "
        "default: the whole file",
    )

    def require_files(self, sketch: nn.Module, shape: Shape, classes: int) -> None:
        require_weights(sketch, self.file, self.sha256, self.entry)

    def train(self, model: nn.Module, data: Split, rng: Stream, journal: Journal) -> Curves:
        load_weights(model, self.file, self.sha256, self.entry)
        return {}
