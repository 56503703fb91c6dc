"""invspec: is this classifier too sensitive, too invariant, or both?"""

from invspec import cpu

__version__ = "0.1.0"

cpu.ensure_prepared()  # before anything imports torch
