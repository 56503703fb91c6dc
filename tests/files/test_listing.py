"""Lists of images in one folder per class: their order, labels, cache and digest."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from invspec import digests
from invspec.errors import InvspecError
from invspec.files.listing import class_names, fingerprint, listing


def touch(root: Path, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"image")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Three images of adder, one of heron, two of newt."""
    touch(tmp_path, "newt/b.JPG", "newt/a.png", "heron/z.jpeg", "adder/3.png", "adder/1.png")
    touch(tmp_path, "adder/deep/2.webp")
    return tmp_path


def test_a_label_is_the_position_of_a_folder_among_the_sorted_ones(root: Path) -> None:
    touch(root, "readme.md")
    assert class_names(root) == ("adder", "heron", "newt")
    images = listing(root)
    assert images.classes == class_names(root)
    for position, label in enumerate(images.y.tolist()):
        assert images.path(position).relative_to(root).parts[0] == images.classes[label]


def test_every_class_gives_its_next_image_in_turn(root: Path) -> None:
    images = listing(root)
    paths = [images.path(position).relative_to(root).as_posix() for position in range(len(images))]
    assert paths == [
        *("adder/1.png", "heron/z.jpeg", "newt/a.png"),
        *("adder/3.png", "newt/b.JPG"),
        "adder/deep/2.webp",
    ]
    assert images.y.tolist() == [0, 1, 2, 0, 2, 0]


def test_other_files_are_not_listed(root: Path) -> None:
    before = listing(root)
    touch(root, "newt/notes.txt", "newt/c.gif", "newt/d.png.part")
    assert len(listing(root)) == len(before) == 6


def test_a_name_that_is_no_valid_text_is_listed(root: Path) -> None:
    with open(os.fsencode(root) + b"/heron/\xff.png", "wb") as file:
        file.write(b"image")
    images = listing(root)
    (position,) = (i for i in range(len(images)) if images.names[i] == b"\xff.png")
    assert images.path(position).read_bytes() == b"image"


def test_images_behind_a_link_are_listed(
    root: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    touch(elsewhere, "y.png")
    (root / "heron" / "linked").symlink_to(elsewhere)
    assert listing(root).y.tolist().count(1) == 2


def test_a_listing_is_cached_until_a_file_is_added_or_removed(root: Path) -> None:
    first = listing(root)
    assert listing(root) is first
    touch(root, "heron/y.png")
    os.utime(root / "heron", ns=(1, 1))  # the clock may be too coarse to show the change
    assert len(listing(root)) == 7


@pytest.fixture(autouse=True)
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home folder of its own, for what is remembered."""
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(folder))
    return folder


def test_a_digest_changes_with_names_and_contents(root: Path) -> None:
    seen = [fingerprint(root)]
    assert fingerprint(root) == seen[0]
    (root / "heron" / "z.jpeg").rename(root / "heron" / "y.jpeg")
    os.utime(root / "heron", ns=(1, 1))
    seen.append(fingerprint(root))
    (root / "heron" / "y.jpeg").write_bytes(b"IMAGE")
    seen.append(fingerprint(root))
    assert len(set(seen)) == 3
    assert all(len(digest) == 64 for digest in seen)


def test_an_image_edited_in_place_with_its_old_times_changes_the_digest(root: Path) -> None:
    path = root / "adder" / "deep" / "2.webp"
    before, times = fingerprint(root), path.stat()
    path.write_bytes(b"imagE")
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))
    assert fingerprint(root) != before


def test_two_images_that_change_places_change_the_digest(root: Path) -> None:
    touch(root, "newt/a.png")
    (root / "newt" / "a.png").write_bytes(b"other")
    before = fingerprint(root)
    (root / "newt" / "a.png").rename(root / "newt" / "c.png")
    (root / "newt" / "b.JPG").rename(root / "newt" / "a.png")
    (root / "newt" / "c.png").rename(root / "newt" / "b.JPG")
    assert fingerprint(root) != before


def test_contents_are_remembered_for_the_next_process(
    root: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(digests, "SETTLED", -(10**18))
    before = fingerprint(root)
    (memory,) = (home / ".cache" / "invspec" / "digests").iterdir()
    assert memory.suffix == ".json"

    def unwanted(path: str) -> str:
        raise AssertionError(f"{path} is read again")

    monkeypatch.setattr(digests, "read", unwanted)
    assert fingerprint(root) == before


def test_a_digest_does_not_depend_on_where_the_folder_is(root: Path) -> None:
    before = fingerprint(root)
    moved = root.rename(root.with_name("moved"))
    assert fingerprint(moved) == before


def test_a_folder_of_another_layout_is_refused(root: Path, tmp_path: Path) -> None:
    layout = "expected a folder with one subfolder of images per class"
    (root / "empty").mkdir()
    for folder, message in (
        (root / "nowhere", "cannot be read: No such file or directory"),
        (root / "newt" / "a.png", "cannot be read: Not a directory"),
        (root / "empty", "holds no folders"),
    ):
        with pytest.raises(InvspecError) as problem:
            listing(folder)
        assert (problem.value.message, problem.value.hint) == (f"{folder} {message}", layout)
    with pytest.raises(InvspecError) as problem:
        listing(root)
    assert problem.value.message == f"{root}/empty holds no images"
    assert problem.value.hint.startswith("their names must end in .jpg, .jpeg")
