"""invspec: is this classifier too sensitive, too invariant, or both?"""

from invspec import cpu

__version__ = "0.1.0"

cpu.prepared()  # before anything imports torch
