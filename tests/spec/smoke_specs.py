"""The shipped specs, and how large their smoke runs are."""

from __future__ import annotations

from invspec.registry.cards import shipped

SPECS = sorted(shipped("specs").glob("*.yaml"))
# specs whose smoke run takes less than twenty seconds
QUICK = {"quickstart"}
# specs whose nets take up to half an hour on two cores even for eight images
LARGE = {
    "jacobsen_imagenet",
    "kamath_cifar",
    "kamath_iclr2020",
    "kamath_tradeoff",
    "lpips_ccat",
    "lst",
    "nspgd_logit_space",
    "nspgd_paths",
    "nspgd_tables",
}
