"""Why torch refused to load a file of weights, without its advice to run the file's code."""

from __future__ import annotations

import io
import pickletools
import re
import zipfile
from collections.abc import Iterator

SAVE = "where it was made, save the state dict alone: torch.save(net.state_dict(), file)"

# Modules whose globals occur in plain state dicts.
PLAIN = {"torch", "torch._utils", "torch.storage", "torch._tensor", "torch.nn.parameter"}
PLAIN_NAMES = {"collections.OrderedDict", "_codecs.encode", "__builtin__.set", "builtins.set"}
# The first bytes of a file of torch.save before archives; every pickle begins with the first.
LEGACY = b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19."

# torch's advice, which ends its reason; nothing of it is passed on.
ADVICE = re.compile(
    r"(please (use|file|make)|check the documentation|in pytorch 2|\(1\)|re-running|"
    r"you (can|may) |do those steps|if you trust|or the `?torch\.serialization).*",
    re.IGNORECASE | re.DOTALL,
)
PREFACES = re.compile(
    r"^.*?(WeightsUnpickler error|Weights only load failed\.?)[:.]?\s*", re.DOTALL
)
COLOUR = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")

MAX_NAMES = 8


def explained(content: bytes, problem: Exception) -> tuple[str, str]:
    """The reason why a file was refused and what to do, in a sentence each."""
    reason = str(problem).strip() or type(problem).__name__
    objects = foreign_objects(content)
    objects += [name for name in _blamed(reason) if name not in objects]
    if not objects and content[:1] == LEGACY[:1] and not content.startswith(LEGACY):
        return "it is a pickle that torch.save did not write", SAVE
    if not objects:
        return _without_advice(reason), "expected a state dict from torch.save or safetensors"
    more = [f"{len(objects) - MAX_NAMES} more"] if len(objects) > MAX_NAMES else []
    listed = ", ".join([*objects[:MAX_NAMES], *more])
    if any(name.startswith("torch.nn.modules.") for name in objects):
        return f"it is a whole net, not a state dict; it holds {listed}", SAVE
    objects = "which are no tensors, numbers, texts, lists or dicts"
    return f"beside any weights it holds objects of {listed}, {objects}", SAVE


def foreign_objects(content: bytes) -> list[str]:
    """The classes and functions that a pickle names, except those of plain state dicts."""
    names = dict.fromkeys(name for pickle in _pickles(content) for name in _globals(pickle))
    return [name for name in names if not _is_plain(name)]


def _is_plain(name: str) -> bool:
    return name in PLAIN_NAMES or name.rpartition(".")[0] in PLAIN


def _pickles(content: bytes) -> Iterator[io.BytesIO]:
    """The pickles in a file of torch.save: data.pkl of an archive, or several in sequence."""
    if not content.startswith(b"PK\x03\x04"):
        # reading goes on where the last pickle has ended
        stream = io.BytesIO(content)
        while stream.tell() < len(content) and content[stream.tell()] == 0x80:
            yield stream
        return
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        for name in archive.namelist():
            if name.endswith("/data.pkl"):
                yield io.BytesIO(archive.read(name))


def _globals(pickle: io.BytesIO) -> Iterator[str]:
    """The dotted names of the globals of one pickle; those before the first damage."""
    texts: list[str] = []
    memo: dict[int, str] = {}
    try:
        for operation, argument, _ in pickletools.genops(pickle):
            if operation.name == "GLOBAL":
                yield str(argument).replace(" ", ".")
            elif operation.name == "STACK_GLOBAL":
                yield ".".join(texts[-2:])
            elif operation.name in ("MEMOIZE", "BINPUT", "LONG_BINPUT"):
                memo[len(memo) if argument is None else int(argument)] = (texts or [""])[-1]
            elif operation.name in ("BINGET", "LONG_BINGET"):
                texts.append(memo.get(int(argument or 0), ""))
            elif isinstance(argument, str):
                texts.append(argument)
    # damaged bytes can raise anything, and decide nothing here
    except Exception:
        pickle.seek(0, io.SEEK_END)


def _blamed(reason: str) -> list[str]:
    """The global that torch's own message names."""
    match = re.search(r"GLOBAL ([\w.]+) was not an allowed global", COLOUR.sub("", reason))
    return [match[1]] if match and not _is_plain(match[1]) else []


def _without_advice(reason: str) -> str:
    """torch's reason as one line, whole, without colours and without its advice."""
    text = COLOUR.sub("", reason)
    if "WeightsUnpickler error" in text or "Weights only load failed" in text:
        text = PREFACES.sub("", text[max(text.rfind("WeightsUnpickler error"), 0) :])
    text = " ".join(ADVICE.sub("", text).split())
    return "torch cannot read it" if not text or "weights_only" in text else text
