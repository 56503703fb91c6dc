"""Common corruptions, as in ImageNet-C and CIFAR-10-C."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import ClassVar, Literal, Self

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from invspec import digests
from invspec.corruptions.corrupt import corrupted
from invspec.corruptions.images import Image, gray
from invspec.corruptions.severities import Benchmark
from invspec.corruptions.severities import Corruption as Name
from invspec.data import Batch, Perturbed
from invspec.errors import InvspecError
from invspec.files import corrupted_images
from invspec.files.folder import located
from invspec.kinds import Attack
from invspec.ops.draws import Draws

# largest image that is corrupted as those of CIFAR-10-C are, unless a spec says otherwise
SMALL = 64
# numbers of channels for which a corruption is defined; others take any
CHANNELS: Mapping[Name, tuple[int, ...]] = {
    "snow": (1, 3),
    "frost": (1, 3),
    "pixelate": (1, 3),
    "jpeg_compression": (1, 3),
    "saturate": (3,),
}


class Corruption(Attack):
    """Corrupt each image: noise, blur, weather and digital artefacts at severity 1 to 5.

    The draws depend only on the image, on the corruption and on `draw`, so that all models, and
    all seeds, meet the same images. Severities share their draws. The model is not run. Pixels are
    cut to bytes, as in the published files. Returns x_adv (B, C, H, W).

    folder names a folder of such files, CIFAR-10-C/fog.npy and so on, in INVSPEC_DATA. An image is
    then replaced by its corrupted version there; labels.npy must agree with the labels.

    frost adds photographs, which do not ship: frost/frost1.png to frost3.png, frost4.jpg and
    frost5.jpg in INVSPEC_DATA, from the code of the benchmark.

    Deviates: blurs, warps and motion are computed by scipy and numpy in place of OpenCV,
    scikit-image and ImageMagick, so that images equal the published ones in kind, not in every
    pixel. spatter, one of the four corruptions for validation, is left out: it needs OpenCV's edge
    detector.

    Raises: InvspecError if a file is missing, holds other images, or does not fit the corruption.
    """

    ignores_model: ClassVar[bool] = True

    corruption: Name = Field(
        default="gaussian_noise", description="name of the corruption, as of the published files"
    )
    severity: int = Field(default=3, ge=1, le=5, strict=True, description="severity, 1 to 5")
    benchmark: Benchmark | Literal["auto"] = Field(
        default="auto",
        description="whose parameters: cifar10_c, imagenet_c, or auto, by whether images have "
        "more than 64 pixels a side",
    )
    folder: str | None = Field(
        default=None, min_length=1, description="folder of corrupted images, such as CIFAR-10-C"
    )
    draw: int = Field(default=0, ge=0, description="index of an independent set of draws")

    @property
    def gradient_loss(self) -> None:
        return None

    @property
    def reads(self) -> dict[str, str]:
        names = self._files
        return {name: corrupted_images.digest(located(name)) for name in names}

    @property
    def _files(self) -> tuple[str, ...]:
        """The files that results depend on, relative to INVSPEC_DATA."""
        if self.folder is not None:
            return (f"{self.folder}/{self.corruption}.npy", f"{self.folder}/labels.npy")
        return corrupted_images.FROST if self.corruption == "frost" else ()

    def smoke(self) -> Self:
        """Without files."""
        changes = {"corruption": "fog"} if self.corruption == "frost" else {}
        return self.model_copy(update={"folder": None, **changes})

    def perturb(self, model: nn.Module, batch: Batch, rng: Draws) -> Perturbed:
        if batch.bounds != (0, 1):
            message = f"corruption takes images in [0, 1], found bounds {batch.bounds}"
            raise InvspecError(message, hint="use a data set of images")
        images = self._drawn(batch, rng) if self.folder is None else self._stored(batch)
        return Perturbed.costing(images.to(batch.x), forwards=0, backwards=0)

    def _stored(self, batch: Batch) -> Tensor:
        assert self.folder is not None, "images are stored in a folder"
        channels, height, width = batch.x.shape[1:]
        return corrupted_images.stored(
            located(self.folder),
            self.corruption,
            self.severity,
            batch.index.cpu(),
            batch.y.cpu(),
            (channels, height, width),
        )

    def _drawn(self, batch: Batch, rng: Draws) -> Tensor:
        channels, height, width = batch.x.shape[1:]
        self._check(channels)
        benchmark = self.benchmark
        if benchmark == "auto":
            benchmark = "cifar10_c" if max(height, width) <= SMALL else "imagenet_c"
        photographs = self._photographs(benchmark, channels, height, width)
        draws = rng.named(f"corruption/{self.corruption}/{self.draw}")
        # numpy's generator takes seeds of at most 32 bits
        seeds = draws.integers(2**32, (len(batch),)).tolist()
        results = [
            corrupted(
                x.permute(1, 2, 0).double().numpy(),
                self.corruption,
                self.severity,
                benchmark,
                seed,
                photographs,
            )
            for x, seed in zip(batch.x.cpu(), seeds, strict=True)
        ]
        return torch.from_numpy(np.stack(results)).permute(0, 3, 1, 2).float()

    def _check(self, channels: int) -> None:
        """Raises: InvspecError if the corruption is not defined for images of so many channels."""
        fitting = CHANNELS.get(self.corruption)
        if fitting is not None and channels not in fitting:
            expected = " or ".join(map(str, fitting))
            message = f"{self.corruption} takes images of {expected} channels, found {channels}"
            raise InvspecError(message, hint="choose another corruption or data set")

    def _photographs(
        self, benchmark: Benchmark, channels: int, height: int, width: int
    ) -> tuple[Image, ...]:
        """Those of frost, each larger than the image; none for other corruptions."""
        if self.corruption != "frost":
            return ()
        paths = tuple(located(name) for name in corrupted_images.FROST)
        states = tuple(map(digests.state_of, paths))
        shares = 0.2 if benchmark == "cifar10_c" else 1.0
        photographs = _photographs(paths, states, shares)
        if any(p.shape[0] <= height or p.shape[1] <= width for p in photographs):
            message = f"the photographs of frost must be larger than {height} x {width} pixels"
            raise InvspecError(message, hint="use those of the benchmark's code")
        return tuple(gray(p) for p in photographs) if channels == 1 else photographs


@cache
def _photographs(
    paths: tuple[Path, ...], states: tuple[digests.State, ...], share: float
) -> tuple[Image, ...]:
    """Photographs, read again where their states have changed."""
    return tuple(corrupted_images.photograph(path, share) for path in paths)
