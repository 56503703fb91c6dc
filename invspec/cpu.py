"""Make results on this CPU independent of batch size: MKL has to be told before torch loads it.

By default MKL picks the kernel of a matrix product by the number of rows and their alignment in memory, so that the
last bits of an example depend on its place in the batch. In the modes of MKL_CBWR they do not, at the same speed.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Collection, MutableMapping
from functools import cache
from pathlib import Path

VARIABLE = "MKL_CBWR"
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}  # all that MKL's kernels of that name use


def mode(machine: str, cpuinfo: str) -> str | None:
    """The value of MKL_CBWR for a CPU, or None where torch comes without MKL.

    machine is what `platform.machine` says, cpuinfo the text of /proc/cpuinfo, which is empty outside Linux. STRICT is
    for rows that are not aligned. On CPUs of other makers than Intel, AUTO is the fastest mode.
    """
    if machine.lower() not in ("x86_64", "amd64", "i386", "i686"):
        return None
    facts = dict(line.split(":", 1) for line in reversed(cpuinfo.splitlines()) if ":" in line)
    facts = {name.strip(): value.strip() for name, value in facts.items()}
    flags = set(facts.get("flags", "").split())
    if facts.get("vendor_id") == "GenuineIntel" and flags >= AVX512:
        return "AVX512,STRICT"
    if facts.get("vendor_id") == "GenuineIntel" and "avx2" in flags:
        return "AVX2,STRICT"
    return "AUTO,STRICT"


def prepare(
    environment: MutableMapping[str, str], loaded: Collection[str], machine: str, cpuinfo: str
) -> bool:
    """Set MKL_CBWR unless it is set already; False where torch is loaded and may have read the environment."""
    wanted = mode(machine, cpuinfo)
    if wanted is None or VARIABLE in environment:
        return True
    if "torch" in loaded:
        return False
    environment[VARIABLE] = wanted
    return True


@cache
def prepared() -> bool:
    """Whether this process's MKL is prepared. The first call, when invspec is imported, prepares it."""
    return prepare(os.environ, sys.modules, platform.machine(), _cpuinfo())


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
