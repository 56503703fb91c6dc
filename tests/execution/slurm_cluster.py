"""A Slurm cluster of this machine, for tests: munged, slurmctld and two slurmd."""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Generator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

PROGRAMS = ("munged", "slurmctld", "slurmd", "sbatch", "srun", "squeue", "scancel", "scontrol")
# Debian keeps daemons here, which is not on every PATH
SBIN = os.pathsep.join(("/usr/sbin", "/usr/local/sbin"))
# seconds until the nodes are idle
START = 120

CONFIGURATION = """
ClusterName=invspec
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
SlurmctldPort={ports[0]}
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%n
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
JobRequeue=1
KillWait=2
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_min_interval=0,bf_interval=2
MailProg=/bin/true
NodeName=node1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1
NodeName=node2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1
PartitionName=all Nodes=node1,node2 Default=YES MaxTime=INFINITE PriorityTier=1
PartitionName=urgent Nodes=node1,node2 MaxTime=INFINITE PriorityTier=9 PreemptMode=OFF
"""


def lacking() -> str:
    """Why no cluster can be started here, empty if one can."""
    if missing := [name for name in PROGRAMS if _program(name) is None]:
        return f"no {', '.join(missing)} on this machine"
    return "" if os.geteuid() == 0 else "slurmd needs root"


@contextmanager
def cluster() -> Generator[Path]:
    """The configuration file of a cluster with two idle nodes of one CPU, node1 and node2."""
    with ExitStack() as stack:
        folder = Path(tempfile.mkdtemp(prefix="slurm-"))
        stack.callback(shutil.rmtree, folder, ignore_errors=True)
        configuration = _configure(folder)
        stack.callback(_kill_steps, configuration)
        stack.enter_context(_daemon(folder, *_munged(folder)))
        stack.enter_context(_daemon(folder, "slurmctld", "-D", "-f", str(configuration)))
        for node in ("node1", "node2"):
            stack.enter_context(
                _daemon(folder, "slurmd", "-D", "-N", node, "-f", str(configuration))
            )
        _wait_until_idle(folder, configuration)
        stack.callback(_clear, configuration)
        yield configuration


def _program(name: str) -> str | None:
    return shutil.which(name) or shutil.which(name, path=SBIN)


def _configure(folder: Path) -> Path:
    """Write the key of munged and the configuration of Slurm."""
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(secrets.token_bytes(256))
    (folder / "state").mkdir()
    for node in ("node1", "node2"):
        (folder / f"spool-{node}").mkdir()
    host = socket.gethostname().split(".")[0]
    text = CONFIGURATION.format(host=host, folder=folder, ports=_free_ports(3))
    configuration = folder / "slurm.conf"
    configuration.write_text(text)
    return configuration


def _free_ports(number: int) -> list[int]:
    """Ports that nobody listens on; another program may still take one before Slurm does."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(number)]
    ports = [opened.getsockname()[1] for opened in sockets]
    for opened in sockets:
        opened.close()
    return ports


def _munged(folder: Path) -> list[str]:
    files = {
        "key-file": "munge.key",
        "socket": "munge.socket",
        "pid-file": "munged.pid",
        "log-file": "munged.log",
        "seed-file": "munged.seed",
    }
    options = [f"--{name}={folder / file}" for name, file in files.items()]
    return ["munged", "--foreground", "--force", *options]


@contextmanager
def _daemon(folder: Path, name: str, *options: str) -> Generator[None]:
    """A daemon in the foreground, which ends with the block."""
    path = _program(name)
    assert path, f"no {name}"
    with (folder / f"{name}.out").open("ab") as log:
        process = subprocess.Popen([path, *options], stdout=log, stderr=log)
    try:
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _ask(configuration: Path, *command: str) -> str:
    """The output of a command of Slurm, empty if it fails."""
    environment = {**os.environ, "SLURM_CONF": str(configuration)}
    try:
        return subprocess.run(
            command, env=environment, capture_output=True, text=True, timeout=60
        ).stdout
    except subprocess.TimeoutExpired:
        return ""


def _wait_until_idle(folder: Path, configuration: Path) -> None:
    end = time.monotonic() + START
    while _ask(configuration, "sinfo", "-h", "-N", "-p", "all", "-o", "%t").split() != ["idle"] * 2:
        if time.monotonic() > end:
            raise RuntimeError(f"Slurm does not start:\n{_logs(folder)}")
        time.sleep(0.2)


def _logs(folder: Path) -> str:
    """The last lines of all logs."""
    paths = sorted([*folder.glob("*.log"), *folder.glob("*.out")])
    tails = (path.read_text(errors="replace").splitlines()[-20:] for path in paths)
    return "\n".join(line for tail in tails for line in tail)


def _clear(configuration: Path) -> None:
    """End all jobs, whose processes would outlive the daemons."""
    _ask(configuration, "scancel", "--partition=all")
    _ask(configuration, "scancel", "--partition=urgent")
    end = time.monotonic() + 30
    while _ask(configuration, "squeue", "-h") and time.monotonic() < end:
        time.sleep(0.2)


def _kill_steps(configuration: Path) -> None:
    """Kill what is left of interrupted jobs, whose controller is gone."""
    mark = f"SLURM_CONF={configuration}".encode()
    for process in Path("/proc").glob("[0-9]*"):
        # a process that has just ended has no files, or none that can be read
        with suppress(OSError):
            if mark in (process / "environ").read_bytes().split(b"\0"):
                os.kill(int(process.name), signal.SIGKILL)
