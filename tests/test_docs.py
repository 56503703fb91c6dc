"""The manifests in docs/ are valid, and pages have the numbers of the code."""

from __future__ import annotations

import re
import shlex
from typing import Any

import yaml
from workbench import ROOT

from invspec.cli.executors import Choice
from invspec.execution.determinism import CUBLAS, CUBLAS_SETTINGS
from invspec.execution.devices import SPARES
from invspec.execution.pools.actors import NO_RETURN, NO_START
from invspec.execution.pools.jobs import BRIEF, FRUITLESS
from invspec.execution.pools.local import GPU_BATCH
from invspec.execution.pools.ray import RayExecutor
from invspec.execution.pools.slurm import MINUTES, SlurmExecutor
from invspec.execution.schedule import ATTEMPTS, MACHINE_LOSSES
from invspec.memory import BLOCK
from invspec.perform.cuda_graphs import VARIABLE
from invspec.perform.graphs import EAGER, MOST
from invspec.perform.room import PART
from invspec.spec.numbers import WORDS as WORDS_OF_NUMBERS
from invspec.spec.schema import Claim, Layout

GPU = " ".join((ROOT / "docs" / "gpu.md").read_text(encoding="utf-8").split())
RAY = (ROOT / "docs" / "ray.md").read_text(encoding="utf-8")
SLURM = (ROOT / "docs" / "slurm.md").read_text(encoding="utf-8")
GRAMMAR = (ROOT / "docs" / "claims.md").read_text(encoding="utf-8")
WORDS = {2: "two", 5: "five"}
COMMANDS = ("run", "report", "compare", "leaderboard", "plan", "check", "doctor", "store", "schema")


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.M | re.S)


def commands(text: str) -> list[list[str]]:
    """The words of every invspec command in a page's shell blocks."""
    lines = [line for block in blocks(text, "sh") for line in block.splitlines()]
    words = [shlex.split(line, comments=True) for line in lines]
    return [line[line.index("invspec") + 1 :] for line in words if "invspec" in line]


def test_the_examples_of_claims_and_published_tables_are_valid() -> None:
    *examples, layouts = map(yaml.safe_load, blocks(GRAMMAR, "yaml"))
    words = {
        claim.statistic
        for example in examples
        for claim in map(Claim.model_validate, example)
        for claim in claim.alternatives
    }
    assert {"value", "difference", "greatest_step", "correlation", "dominance"} <= words
    for layout in map(Layout.model_validate, layouts["report"]):
        assert layout.published is not None


def test_every_word_of_a_number_is_in_the_table_of_operations() -> None:
    assert all(f"`{word}: " in GRAMMAR for word in WORDS_OF_NUMBERS)


def test_the_kuberay_manifest_runs_invspec_on_volumes_that_all_pods_share() -> None:
    (manifest,) = blocks(RAY, "yaml")
    job: dict[str, Any] = yaml.safe_load(manifest)
    assert (job["apiVersion"], job["kind"]) == ("ray.io/v1", "RayJob")
    words = shlex.split(job["spec"]["entrypoint"])
    assert words[:2] == ["invspec", "run"]
    store = words[words.index("--store") + 1]
    cluster = job["spec"]["rayClusterSpec"]
    pods = [
        cluster["headGroupSpec"]["template"],
        *(group["template"] for group in cluster["workerGroupSpecs"]),
    ]
    for pod in pods:
        (container,) = pod["spec"]["containers"]
        mounted = {mount["mountPath"]: mount["name"] for mount in container["volumeMounts"]}
        claims = {
            volume["name"]: volume["persistentVolumeClaim"] for volume in pod["spec"]["volumes"]
        }
        assert store in mounted
        assert claims[mounted[store]]["claimName"] == "invspec-store"
        assert container["env"] == [{"name": "INVSPEC_DATA", "value": "/data"}]
        assert "/data" in mounted


def test_the_head_of_the_kuberay_cluster_computes_nothing_and_its_pods_have_cpus() -> None:
    cluster = yaml.safe_load(blocks(RAY, "yaml")[0])["spec"]["rayClusterSpec"]
    assert cluster["headGroupSpec"]["rayStartParams"] == {"num-cpus": "0"}
    (group,) = cluster["workerGroupSpecs"]
    (container,) = group["template"]["spec"]["containers"]
    assert int(container["resources"]["limits"]["cpu"]) >= 1
    # the run counts its workers when it starts
    assert group["minReplicas"] == group["replicas"] == group["maxReplicas"]


def test_the_entrypoint_of_the_manifest_chooses_ray() -> None:
    job = yaml.safe_load(blocks(RAY, "yaml")[0])["spec"]
    words = shlex.split(job["entrypoint"])
    options = dict(zip(words[3::2], words[4::2], strict=True))
    assert set(options) == {"--executor", "--address", "--store"}
    executor = Choice(options["--executor"], address=options["--address"]).executor()
    assert executor == RayExecutor("auto", patience=Choice().patience)
    assert ROOT.joinpath("specs", f"{words[2]}.yaml").is_file()


def test_the_page_on_ray_has_the_numbers_of_the_code() -> None:
    text = " ".join(RAY.split())
    assert f"up to {WORDS[MACHINE_LOSSES]} times in a row" in text
    assert f"kills its process** has {WORDS[ATTEMPTS]} tries" in text
    ends = f"{NO_START // 60:.0f} minutes if none ever came, and after {NO_RETURN // 60:.0f} if all"
    assert ends in text


def test_the_page_on_gpus_has_the_numbers_of_the_code() -> None:
    assert PART == 2 / 5
    for words in (
        f"at most {GPU_BATCH:,} examples at once",
        f"a backward pass of {BLOCK} images",
        "into two fifths of what is free",
        f"after {EAGER} ordinary passes, for at most {MOST} shapes of a net",
        f"Up to {SPARES} further cores",
        f"`{VARIABLE}=off`",
        f"`{CUBLAS}={CUBLAS_SETTINGS[0]}`",
    ):
        assert words in GPU


def test_the_page_on_slurm_has_the_numbers_of_the_code() -> None:
    text = " ".join(SLURM.split())
    assert f"up to {WORDS[MACHINE_LOSSES]} times in a row" in text
    bound = f"{WORDS[FRUITLESS]} were lost in a row, each within {BRIEF / 60:.0f} minutes"
    assert bound in text
    assert f"as with more memory than the job has, has {WORDS[ATTEMPTS]} tries" in text
    assert f"(default: {MINUTES} minutes)" in text


def test_the_commands_of_the_page_on_slurm_choose_its_executor() -> None:
    first, second, *_ = commands(SLURM)
    assert chosen(first) == SlurmExecutor(workers=8, minutes=240, patience=Choice().patience)
    assert chosen(second) == SlurmExecutor(
        workers=4, partition="gpu", gres="gpu:1", account="lab", patience=Choice().patience
    )


def chosen(words: list[str]) -> Any:
    """The executor that the options of a command choose."""
    options = dict(zip(words[2::2], words[3::2], strict=True))
    assert options.pop("--store") == "/shared/store"
    named = {name.removeprefix("--"): value for name, value in options.items()}
    workers = int(named.pop("workers"))
    return Choice(named.pop("executor"), workers=workers, **named).executor()
