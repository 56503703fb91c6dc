"""Any folder of images with a folder for each class, as ImageNet is kept."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import ConfigDict, Field, PositiveInt, model_validator

from invspec.errors import InvspecError
from invspec.files import folder
from invspec.files.image_folder import StreamedSplit, class_names, fingerprint, listing
from invspec.kinds import Dataset, SplitName
from invspec.ops.types import Shape


class ImageFolder(Dataset):
    """The images of folder/train, folder/val and folder/test, each a folder of folders, one for each class.

    A class is the rank of its folder's name, as torchvision's ImageFolder has it; images are RGB, scaled until their
    shorter side has `resize` pixels (bilinear, with antialiasing) and cut to the middle `size` of them. Only names and
    labels are held: every batch is decoded when it is wanted, a little ahead, by a few threads, so that memory does not
    grow with the number of images. The order is the first image of every class, then the second of every class and so
    on, by name; any head is balanced.

    What is not said here is counted in the folders, and their listing, the names and sizes of all files, then is part
    of every task's key: other images, other results. A published set says its counts and classes instead. It then is
    known without its files, by its fields alone, and a folder with other numbers is refused when it is read.

    In Python and YAML the field of the number of classes is classes.

    Raises: InvspecError where a folder is missing, has no images or other numbers than were said, where the splits'
    classes differ, where folder is relative and INVSPEC_DATA is not set, and, with its name, where an image is damaged.
    """

    model_config = ConfigDict(populate_by_name=True)

    folder: str = Field(
        min_length=1, description="path of the folder, from the folder INVSPEC_DATA or absolute"
    )
    train: str = Field(
        default="train", description="the folder in it that has the training images; . is itself"
    )
    val: str = Field(
        default="val", description="the folder in it that has the validation images; . is itself"
    )
    test: str = Field(
        default="test", description="the folder in it that has the test images; . is itself"
    )
    size: int = Field(default=224, ge=1, description="height and width of what is left of an image")
    resize: int = Field(default=256, ge=1, description="length of the shorter side before that")
    class_count: int | None = Field(
        default=None, ge=1, alias="classes", description="number of classes; default: counted"
    )
    counts: tuple[PositiveInt, PositiveInt, PositiveInt] | None = Field(
        default=None, description="numbers of train, val and test images; default: counted"
    )

    @model_validator(mode="after")
    def _cut_from_what_there_is(self) -> Self:
        if self.size > self.resize:
            raise ValueError(
                f"size {self.size} is more than resize {self.resize} leaves of an image"
            )
        return self

    @model_validator(mode="after")
    def _said_or_counted(self) -> Self:
        if (self.counts is None) != (self.class_count is None):
            raise ValueError("classes and counts go together: say both, or let both be counted")
        return self

    @property
    def shape(self) -> Shape:
        return (3, self.size, self.size)

    @property
    def classes(self) -> int:
        return self.class_count or len(class_names(self._root("train")))

    @property
    def reads(self) -> Mapping[str, str]:
        if self.counts is not None:
            return {}
        parts: tuple[SplitName, ...] = ("train", "val", "test")
        for part in parts:
            self._require_classes_of_training(self._root(part))
        return {part: fingerprint(self._root(part)) for part in parts}

    def count(self, split: SplitName) -> int:
        if self.counts is None:
            return len(listing(self._root(split)))
        return dict(zip(("train", "val", "test"), self.counts, strict=True))[split]

    def load(self, split: SplitName) -> StreamedSplit:
        root = self._root(split)
        self._require_classes_of_training(root)
        images = listing(root)
        hint = "let folder, train, val and test name the folders that are meant"
        if len(images) != self.count(split):
            raise InvspecError(
                f"{root} holds {len(images):,} images, expected {self.count(split):,}", hint=hint
            )
        if len(images.classes) != self.classes:
            raise InvspecError(
                f"{root} holds {len(images.classes):,} classes, expected {self.classes:,}",
                hint=hint,
            )
        return StreamedSplit.whole(images, self.size, self.resize)

    def _root(self, split: SplitName) -> Path:
        part = {"train": self.train, "val": self.val, "test": self.test}[split]
        return Path(os.path.normpath(folder.located(self.folder) / part))

    def _require_classes_of_training(self, root: Path) -> None:
        """The same names, so that the same rank is the same class, where there are training images to compare with."""
        training = self._root("train")
        if training.is_dir() and (odd := set(class_names(root)) ^ set(class_names(training))):
            raise InvspecError(
                f"{root} and {training} hold different classes: only one of them has {min(odd)}",
                hint="a class is the rank of its folder's name, so all splits need the same folders",
            )
