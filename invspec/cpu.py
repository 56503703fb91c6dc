"""Make results on this CPU independent of batch size, by an environment variable of Intel's MKL.

By default MKL picks the kernel of a matrix product by the number of rows and their alignment in
memory, so the last bits of an example's result depend on its place in the batch. The modes that the
variable MKL_CBWR selects prevent this at the same speed. MKL reads the variable when torch loads.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, MutableMapping
from functools import cache
from pathlib import Path

VARIABLE = "MKL_CBWR"
# the CPU flags that MKL's kernels of this name need
AVX512 = {"avx512f", "avx512bw", "avx512dq", "avx512vl"}


def mode(machine: str, cpuinfo: str) -> str | None:
    """The value of MKL_CBWR for a CPU, None where torch comes without MKL.

    machine is the architecture, cpuinfo the text of /proc/cpuinfo, empty outside Linux.
    STRICT also covers rows that are not aligned. On CPUs not made by Intel, AUTO is fastest.
    """
    if machine.lower() not in ("x86_64", "amd64", "i386", "i686"):
        return None
    # /proc/cpuinfo has a section for each core; in reverse, the first core's lines win
    lines = [line.split(":", 1) for line in reversed(cpuinfo.splitlines()) if ":" in line]
    facts = {name.strip(): value.strip() for name, value in lines}
    flags = set(facts.get("flags", "").split())
    if facts.get("vendor_id") == "GenuineIntel" and flags >= AVX512:
        return "AVX512,STRICT"
    if facts.get("vendor_id") == "GenuineIntel" and "avx2" in flags:
        return "AVX2,STRICT"
    return "AUTO,STRICT"


def prepare(
    environment: MutableMapping[str, str], loaded: Collection[str], machine: str, cpuinfo: str
) -> bool:
    """Set MKL_CBWR, unless the user has. Returns False if torch is already loaded."""
    value = mode(machine, cpuinfo)
    if value is None or VARIABLE in environment:
        return True
    if "torch" in loaded:
        return False
    environment[VARIABLE] = value
    return True


@cache
def ensure_prepared() -> bool:
    """Prepare MKL on the first call, made by `import invspec`; return whether that was possible."""
    return prepare(os.environ, sys.modules, _machine(), _cpuinfo())


def _machine() -> str:
    """The name of the CPU's architecture, such as x86_64."""
    # `platform` says the same everywhere, but importing it costs every start 7 ms
    if hasattr(os, "uname"):
        return os.uname().machine
    return os.environ.get("PROCESSOR_ARCHITECTURE", "")


def _cpuinfo() -> str:
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
