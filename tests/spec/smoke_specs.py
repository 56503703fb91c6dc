"""The shipped specs, and how large their smoke runs are."""

from __future__ import annotations

from invspec.registry.cards import shipped

SPECS = sorted(shipped("specs").glob("*.yaml"))
# specs whose smoke run takes less than twenty seconds on the pretend device
QUICK = {"quickstart"}
# specs whose smoke tasks take more than twelve seconds of CPU time, or were not measured
HEAVY = {
    "fair_nets",
    "generated_walk",
    "jacobsen_ablation",
    "jacobsen_imagenet",
    "jacobsen_information",
    "jacobsen_mnist",
    "kamath_attacks",
    "kamath_cifar",
    "kamath_iclr2020",
    "kamath_lemma",
    "kamath_profiles",
    "kamath_tradeoff",
    "lpips_ccat",
    "lpips_ccat_sweep",
    "nspgd_islands",
    "nspgd_tables",
    "nspgd_two_layer",
}
