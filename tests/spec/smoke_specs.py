"""The shipped specs, and how large their smoke runs are."""

from __future__ import annotations

from invspec.registry.cards import shipped

SPECS = sorted(shipped("specs").glob("*.yaml"))
# specs whose smoke run takes less than twenty seconds on the pretend device
QUICK = {"quickstart"}
