"""Print the events per update of every case as JSON, for `benchmarks/syncs.py`."""

from __future__ import annotations

import json

from pretend_process import start  # first: it prepares the CPU before torch is imported

# isort: split
from pretend_updates import CASES, per_update

if __name__ == "__main__":
    start()
    print(json.dumps({case: per_update(case) for case in CASES}))
