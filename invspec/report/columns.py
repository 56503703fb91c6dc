"""The columns of a cell's record that are not its coordinates."""

from __future__ import annotations

VALUES = ("value", "low", "high", "n")
# the paper's number and its difference, if a report has some
BESIDE = ("published", "difference", "difference_low", "difference_high", "agrees")
PASSES = ("forwards", "backwards")
SECONDS = ("seconds_train", "seconds_perturb", "seconds_score")
# all of them, in the order of CSV
COLUMNS = (*VALUES, *BESIDE, "doubts", *PASSES, *SECONDS, "key")
