"""Any folder of images with one folder per class, as ImageNet is stored."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from invspec.errors import InvspecError
from invspec.files import folder
from invspec.files.listing import Listing, class_names, fingerprint, listing
from invspec.files.streaming import StreamedSplit
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Shape


class ImageFolder(Dataset):
    """The images of folder/train, folder/val and folder/test, each with one folder per class.

    A label is the rank of the class's folder by name, as in torchvision's ImageFolder. Images are
    RGB; their shorter side is resized to `resize` pixels, bilinearly with antialiasing, and the
    centre of `size` pixels is cropped. The order is the first image of every class by name, then
    the second of every class, and so on, so that the first n examples are balanced.

    Only names and labels are held in memory. A few threads decode each batch shortly before it is
    used, so that memory does not grow with the number of images.

    If classes and counts are not given, they are counted, and the names and contents of all files
    become part of the key of every task, so that other images give other results. Contents are
    hashed once and remembered in ~/.cache/invspec until a file's size, times or inode change. Give
    both for a published data set: its keys then need no files, and a folder with other counts is
    refused when it is read.

    In Python and YAML the field for the number of classes is classes.

    Raises: InvspecError if a folder is missing, has no images or not the given numbers, if the
    splits have different classes, if folder is relative and INVSPEC_DATA is not set, and, naming
    the file, if an image is damaged.
    """

    model_config = ConfigDict(populate_by_name=True)

    folder: str = Field(
        min_length=1, description="path of the folder, absolute or relative to INVSPEC_DATA"
    )
    train: str = Field(
        default="train", description="subfolder of the training images; . is the folder itself"
    )
    val: str = Field(
        default="val", description="subfolder of the validation images; . is the folder itself"
    )
    test: str = Field(
        default="test", description="subfolder of the test images; . is the folder itself"
    )
    size: int = Field(default=224, ge=1, description="height and width of the centre crop")
    resize: int = Field(default=256, ge=1, description="length of the shorter side before the crop")
    class_count: int | None = Field(
        default=None, ge=1, alias="classes", description="number of classes; default: counted"
    )
    counts: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="numbers of train, val and test images; default: counted"
    )

    @model_validator(mode="after")
    def _crop_fits(self) -> Self:
        if self.size > self.resize:
            raise ValueError(f"size {self.size} is too large for images of resize {self.resize}")
        return self

    @model_validator(mode="after")
    def _given_or_counted(self) -> Self:
        if (self.counts is None) != (self.class_count is None):
            given = "classes" if self.counts is None else "counts"
            raise ValueError(f"expected both classes and counts or neither, found only {given}")
        return self

    @property
    def shape(self) -> Shape:
        return (3, self.size, self.size)

    @property
    def classes(self) -> int:
        return self.class_count or len(class_names(self._root("train")))

    @property
    def stand_in(self) -> tuple[str, dict[str, Any]]:
        """Generated images of the same classes, at most 64 pixels high and wide."""
        name, fields = super().stand_in
        side = min(self.size, 64)
        return name, {**fields, "shape": (3, side, side)}

    @property
    def reads(self) -> Mapping[str, str]:
        if self.counts is not None:
            return {}
        parts: tuple[SplitName, ...] = ("train", "val", "test")
        for part in parts:
            self._require_training_classes(self._root(part))
        return {part: fingerprint(self._root(part)) for part in parts}

    def count(self, split: SplitName) -> int:
        if self.counts is None:
            return len(listing(self._root(split)))
        return dict(zip(("train", "val", "test"), self.counts, strict=True))[split]

    def load(self, split: SplitName) -> StreamedSplit:
        root = self._root(split)
        self._require_training_classes(root)
        images = listing(root)
        self._require_numbers(images, split)
        return StreamedSplit.of(images, self.size, self.resize)

    def _root(self, split: SplitName) -> Path:
        part = {"train": self.train, "val": self.val, "test": self.test}[split]
        # part may be ., and listings are cached by path: one folder must have one path
        return Path(os.path.normpath(folder.located(self.folder) / part))

    def _require_numbers(self, images: Listing, split: SplitName) -> None:
        numbers = {
            "images": (len(images), self.count(split)),
            "classes": (len(images.classes), self.classes),
        }
        for noun, (number, expected) in numbers.items():
            if number != expected:
                raise InvspecError(
                    f"{images.root} holds {number:,} {noun}, expected {expected:,}",
                    hint="check the fields folder, train, val and test",
                )

    def _require_training_classes(self, root: Path) -> None:
        """Raise InvspecError unless root has the classes of the training images, if there are any.

        A label is a rank among the names, so different names would give labels another meaning.
        """
        training = self._root("train")
        if training.is_dir() and (odd := set(class_names(root)) ^ set(class_names(training))):
            raise InvspecError(
                f"{root} and {training} hold different classes: only one of them has {min(odd)}",
                hint="a label is the rank of a folder's name, so all splits need the same folders",
            )
