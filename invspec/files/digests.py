"""SHA-256 of files as users write them."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

# What a digest of another length is.
OTHERS = {32: "MD5", 40: "SHA-1", 56: "SHA-224", 96: "SHA-384", 128: "SHA-512"}

_DIGEST = re.compile(r"(?:sha-?256[:=\s]\s*)?([0-9a-fA-F]+)")


def _digest(value: Any) -> Any:
    """64 small hexadecimal digits, from those that tools print: capitals, sha256:, blanks."""
    if not isinstance(value, str):
        found = "nothing" if value is None else repr(value)[:40]
        raise ValueError(f"expected 64 hexadecimal digits, found {found}; quote them")
    digits = _DIGEST.fullmatch(value.strip().replace("SHA", "sha", 1))
    if digits is None:
        raise ValueError(f"expected 64 hexadecimal digits, found {value[:70]!r}")
    if (length := len(digits[1])) != 64:
        other = f", as many as {OTHERS[length]} has" if length in OTHERS else ""
        raise ValueError(f"expected 64 hexadecimal digits, found {length}{other}")
    return digits[1].lower()


Sha256 = Annotated[
    str,
    BeforeValidator(_digest),
    WithJsonSchema({"type": "string", "pattern": r"^(sha256:)?[0-9a-fA-F]{64}$"}),
    Field(description="SHA-256 of the file, 64 hexadecimal digits"),
]
