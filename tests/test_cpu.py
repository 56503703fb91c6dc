"""What MKL is told, by the CPU at hand and by what is loaded already."""

import os
import subprocess
import sys

import pytest
from workbench import environment

from invspec import cpu

INTEL, AMD = "GenuineIntel", "AuthenticAMD"
SKYLAKE = "fpu sse4_2 avx avx2 fma avx512f avx512dq avx512cd avx512bw avx512vl avx512_vnni"
HASWELL = "fpu sse4_2 avx avx2 fma"
KNIGHTS_LANDING = "fpu sse4_2 avx avx2 fma avx512f avx512pf avx512er avx512cd"


def cpuinfo(vendor: str, flags: str) -> str:
    """Two cores, as Linux describes them."""
    model = "model name\t: a CPU @ 2.00GHz: fast"
    core = f"processor\t: 0\nvendor_id\t: {vendor}\n{model}\nflags\t\t: {flags}\n"
    return f"{core}bugs\t\t:\n\n{core}"


ARM = "processor\t: 0\nBogoMIPS\t: 50.00\nFeatures\t: fp asimd sve\nCPU implementer\t: 0x41\n"


@pytest.mark.parametrize(
    ("machine", "text", "mode"),
    [
        ("x86_64", cpuinfo(INTEL, SKYLAKE), "AVX512,STRICT"),
        ("x86_64", cpuinfo(INTEL, HASWELL), "AVX2,STRICT"),
        ("x86_64", cpuinfo(INTEL, KNIGHTS_LANDING), "AVX2,STRICT"),
        ("x86_64", cpuinfo(INTEL, "fpu sse4_2 avx"), "AUTO,STRICT"),
        ("x86_64", cpuinfo(AMD, SKYLAKE), "AUTO,STRICT"),
        ("AMD64", "", "AUTO,STRICT"),
        ("aarch64", ARM, None),
        ("arm64", "", None),
    ],
    ids=[
        "Intel AVX512",
        "Intel AVX2",
        "Knights Landing",
        "old Intel",
        "AMD",
        "Windows",
        "ARM",
        "Apple",
    ],
)
def test_each_cpu_has_its_mode(machine: str, text: str, mode: str | None) -> None:
    assert cpu.mode(machine, text) == mode


@pytest.mark.parametrize(
    ("before", "loaded", "prepared", "after"),
    [
        ({}, (), True, {"MKL_CBWR": "AVX2,STRICT"}),
        ({}, ("torch",), False, {}),
        ({"MKL_CBWR": "COMPATIBLE"}, (), True, {"MKL_CBWR": "COMPATIBLE"}),
        ({"MKL_CBWR": "COMPATIBLE"}, ("torch",), True, {"MKL_CBWR": "COMPATIBLE"}),
    ],
    ids=["first", "after torch", "set by the user", "set by the user, after torch"],
)
def test_mkl_is_prepared_before_torch_unless_the_user_did(
    before: dict[str, str], loaded: tuple[str, ...], prepared: bool, after: dict[str, str]
) -> None:
    variables = dict(before)
    assert cpu.prepare(variables, loaded, "x86_64", cpuinfo(INTEL, HASWELL)) == prepared
    assert variables == after


def test_an_arm_cpu_needs_nothing_even_after_torch() -> None:
    variables: dict[str, str] = {}
    assert cpu.prepare(variables, ("torch",), "aarch64", ARM)
    assert variables == {}


@pytest.mark.parametrize(
    ("first", "prepared"), [("", "True"), ("import types, sys; sys.modules['torch'] = 1", "False")]
)
def test_the_first_import_prepares_it(first: str, prepared: str) -> None:
    if cpu.mode(cpu._machine(), cpu._cpuinfo()) is None:
        pytest.skip("no MKL on this CPU")
    variables = environment()
    variables.pop("MKL_CBWR", None)
    is_set = "os.environ.get('MKL_CBWR') is not None"
    code = f"{first}\nimport os, invspec.cpu\nprint(invspec.cpu.ensure_prepared(), {is_set})"
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=variables
    )
    assert ran.stdout.split() == [prepared, prepared]


def test_these_tests_run_prepared() -> None:
    assert cpu.ensure_prepared()
    assert cpu.mode(cpu._machine(), cpu._cpuinfo()) is None or "MKL_CBWR" in os.environ
