"""Digests as users write them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import TypeAdapter, ValidationError

from invspec.files.digests import Sha256

SHA256 = TypeAdapter(Sha256)
DIGEST = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    "written",
    [DIGEST, DIGEST.upper(), f" {DIGEST}\n", f"sha256:{DIGEST}", f"SHA256:{DIGEST.upper()}",
     f"sha256 = {DIGEST}".replace(" = ", "="), f"SHA-256: {DIGEST}"],
)  # fmt: skip
def test_a_digest_becomes_64_small_digits(written: str) -> None:
    assert SHA256.validate_python(written) == DIGEST


@pytest.mark.parametrize(
    ("written", "words"),
    [
        ("", "found ''"),
        (DIGEST[:32], "found 32, as many as MD5 has"),
        (DIGEST[:40], "found 40, as many as SHA-1 has"),
        (DIGEST + "0", "found 65"),
        (f"md5:{DIGEST}", "found 'md5:"),
        (DIGEST.replace("a", "g"), "found '0123"),
        (12345, "found 12345; quote them"),
        (None, "found nothing"),
    ],
)
def test_anything_else_is_refused_with_what_was_found(written: Any, words: str) -> None:
    with pytest.raises(ValidationError) as problem:
        SHA256.validate_python(written)
    assert "expected 64 hexadecimal digits" in str(problem.value)
    assert words in str(problem.value)
