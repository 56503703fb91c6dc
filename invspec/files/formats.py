"""What a file holds instead of weights, by its first bytes."""

from __future__ import annotations

import io
import json
import zipfile
from typing import NamedTuple

FETCH = "download the file itself; compare its size with the one that its page shows"
UNPACK = "unpack it and name the file of weights that was in it"
CONVERT = "expected a state dict from torch.save, or a .safetensors file"

# Hints by the first bytes of formats that are not weights of torch.
SIGNATURES: dict[bytes, tuple[str, str]] = {
    b"\x1f\x8b": ("a gzip archive", UNPACK),
    b"BZh": ("a bzip2 archive", UNPACK),
    b"\xfd7zXZ\x00": ("an xz archive", UNPACK),
    b"7z\xbc\xaf\x27\x1c": ("a 7-Zip archive", UNPACK),
    b"Rar!\x1a\x07": ("a RAR archive", UNPACK),
    b"\x28\xb5\x2f\xfd": ("a Zstandard archive", UNPACK),
    b"\x89HDF\r\n\x1a\n": ("an HDF5 file, as Keras writes it", CONVERT),
    b"\x93NUMPY": ("a NumPy array", CONVERT),
    b"GGUF": ("a GGUF file", CONVERT),
    b"%PDF": ("a PDF document", FETCH),
    b"\x89PNG": ("a PNG image", FETCH),
    b"\xff\xd8\xff": ("a JPEG image", FETCH),
}

# A header of safetensors is JSON of at most this length.
MAX_HEADER = 100_000_000


class Foreign(NamedTuple):
    """What a file is instead of weights, and what to do about it."""

    what: str
    hint: str


def is_safetensors(content: bytes) -> bool:
    """Whether a file starts like one of safetensors: the length of its header, then JSON."""
    return content[8:9] == b"{" and int.from_bytes(content[:8], "little") <= MAX_HEADER


def foreign(content: bytes) -> Foreign | None:
    """What a file is if it is certainly not weights of torch or safetensors, else None."""
    if content.startswith(b"PK\x03\x04"):
        return _zip(content)
    for signature, (what, hint) in SIGNATURES.items():
        if content.startswith(signature):
            return Foreign(f"it is {what}", hint)
    if content[257:262] == b"ustar":
        return Foreign("it is a tar archive", UNPACK)
    return None if is_safetensors(content) else failed_download(content)


def _zip(content: bytes) -> Foreign | None:
    """What a ZIP archive is, unless torch.save wrote it."""
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, NotImplementedError):
        # the list of its files is at the end
        return Foreign(f"it is cut off or damaged, after {len(content):,} bytes", FETCH)
    inner = {name.partition("/")[2] for name in names}
    if "constants.pkl" in inner:
        return Foreign("it is a TorchScript program, not weights", CONVERT)
    if inner & {"archive_format", "serialized_exported_program.json"} or (
        "serialized_exported_program.json" in names
    ):
        hint = "load it with the model exported, or save its state dict alone"
        return Foreign("it is a program of torch.export, not weights", hint)
    if "data.pkl" in inner:
        return None
    if names and all(name.endswith(".npy") for name in names):
        return Foreign("it is a NumPy archive", CONVERT)
    listed = ", ".join([*names[:3], *(["..."] if len(names) > 3 else [])]) or "nothing"
    return Foreign(f"it is a ZIP archive that holds {listed}", UNPACK)


def failed_download(content: bytes) -> Foreign | None:
    """What an empty file or a text is: a page, a pointer, a message. None for other bytes."""
    if not content:
        return Foreign("the file is empty", FETCH)
    start = content[:4096]
    is_wide = start[:2] in (b"\xff\xfe", b"\xfe\xff")
    text = start.decode("utf-16" if is_wide else "utf-8-sig", errors="replace").strip(
        "\ufeff \t\r\n"
    )
    words = text.lower()
    if words.startswith("version https://git-lfs"):
        hint = "fetch the file with `git lfs pull`, or download it from the project's page"
        return Foreign("it is a pointer of Git LFS, not the file that it stands for", hint)
    if "annex/objects/" in words.partition("\n")[0]:
        return annexed()
    if words.startswith(("<!doctype", "<html", "<head", "<?xml", "<script", "<!--", "<body")):
        return Foreign("it is a web page, not the file that it links to", FETCH)
    if words.startswith(("{", "[")) and _is_json(content):
        return Foreign("it is JSON text", CONVERT)
    # the last character may be cut
    if not _is_printable(text[:-1].replace("\ufffd", "\0")):
        return None
    first = (text.splitlines() or [""])[0][:60]
    return Foreign(f"it is text that begins with {first!r}" if first else "it is blank", FETCH)


def annexed() -> Foreign:
    """A file of git-annex whose content is elsewhere."""
    hint = "fetch it with `git annex get`, or download it from the project's page"
    return Foreign("it is a link of git-annex, whose content is not on this machine", hint)


def _is_printable(text: str) -> bool:
    return all(letter.isprintable() or letter in "\t\r\n\f" for letter in text)


def _is_json(content: bytes) -> bool:
    try:
        json.loads(content)
    except ValueError:
        return False
    return True
