"""The convolutions of Cohen and Welling."""

SPAN = {
    ("trivial", 3): 9,
    ("regular", 3): 36,
    ("trivial", 4): 16,
    ("regular", 4): 64,
}  # parameters of Cohen and Welling
