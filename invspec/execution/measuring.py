"""Measure in which precision a step of training or of an attack is fastest."""

from __future__ import annotations

import signal
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from datetime import UTC, datetime
from pathlib import Path

import torch

from invspec.execution.choices import Choice
from invspec.execution.determinism import reproducible
from invspec.execution.pools.workers import CONTEXT
from invspec.execution.worker import device_name
from invspec.perform import steps
from invspec.perform.steps import Comparison
from invspec.plan.precisions import Question
from invspec.registry import cards


def measure(question: Question, device: str) -> Choice:
    """Measure in a process of its own, whose end frees the device's memory."""
    try:
        with ProcessPoolExecutor(1, CONTEXT, _prepare, (cards.added(),)) as process:
            return process.submit(measured, question, device).result()
    except BrokenProcessPool:
        # killed, perhaps for its memory
        return _choice(Comparison({}, 0), device)


def measured(question: Question, device: str) -> Choice:
    """Measure as a worker computes: in one thread, with deterministic kernels."""
    build = steps.training_steps if question.work == "training" else steps.search_steps
    with reproducible(torch.device(device)):
        comparison = steps.compare(build, question.train, torch.device(device))
        return _choice(comparison, device_name(torch.device(device)))


def _choice(comparison: Comparison, device: str) -> Choice:
    findings = comparison.findings
    return Choice(
        precision=comparison.best,
        milliseconds={name: round(1e3 * item.seconds, 3) for name, item in findings.items()},
        disagree=tuple(name for name, finding in findings.items() if not finding.agrees),
        batch_size=comparison.batch_size,
        device=device,
        torch=str(torch.__version__),
        measured=datetime.now(UTC).isoformat(timespec="seconds"),
    )


def _prepare(folders: tuple[Path, ...]) -> None:
    # the parent handles interrupts
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for folder in folders:
        cards.add(folder)
