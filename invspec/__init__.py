"""invspec: is this classifier too sensitive, too invariant, or both?"""

__version__ = "0.1.0"
