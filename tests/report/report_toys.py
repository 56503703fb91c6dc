"""Specs with known outcomes, and helpers to read the figures drawn from them."""

import numpy as np
import torch
from matplotlib.colors import to_rgb

from invspec.report import build
from invspec.report.figures import draw


def half(coords):
    return np.arange(100) < 50


# The same with claims; texts that need escaping.
CLAIMS = """
title: Toy <script>alert(1)</script> & co_
paper: kamath2020
seeds: [0]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences:
  rotations: {use: rotation_augmentation, max_degrees: {sweep: [0, 90, 180]}}
attacks:
  none: {use: identity}
  pgd: {use: pgd, eps: {sweep: [0, 0.1, 0.2]}}
measures:
  accuracy: {of: none}
  robustness: {use: rate_of_invariance, of: pgd}
train:
  - {dataset: digits, model: [linear, lenet], defence: rotations}
claims:
  - says: "[bold]100 % of <b>it</b>[/bold] at $x_1$"
    source: Figure 1
    published: 0.9
    value: {measure: accuracy, at: {model: linear, rotations.max_degrees: 0}}
    expect: {value: {near: 0.8, within: 0.15}}
  - says: this fails
    value: {measure: accuracy, at: {model: linear, rotations.max_degrees: 0}}
    expect: {value: {below: 0.5}}
  - says: this waits
    trend:
      {measure: robustness, along: rotations.max_degrees, at: {model: lenet}, over: {pgd.eps: area}}
    expect: falling
"""


def outcomes(coords):
    """80 of 100 are right without an attack; the scores of one training are missing."""
    if coords["model"] == "lenet" and coords["rotations.max_degrees"] == 90:
        return None
    return np.arange(100) < 80 - coords.get("pgd.eps", 0) * 300


PAIR = """
report:
  - of: robustness
    title: A pair
    rows: [model, rotations.max_degrees]
    at: {model: linear}
    legend: "%s/0"
  - {of: accuracy, figure: beside, rows: [model, rotations.max_degrees], at: {model: linear}}
"""


# One layout, for figures of what scores keep.
PICTURES = """
title: Toy
seeds: [0, 1]
datasets: {digits: {}}
models: {linear: {}, lenet: {}}
defences: {normal: {use: standard}, adversarial: {use: standard, epochs: 3}}
attacks: {none: {use: identity}}
measures: {success: {use: accuracy, of: none}}
train:
  - {dataset: digits, model: [linear, lenet], defence: [normal, adversarial]}
report:
  - %s
"""


MATRIX = "{of: success, rows: [model, defence], columns: attack, figure: matrix}"


IMAGES = "{of: success, rows: [model], at: {defence: normal}, columns: attack, figure: images}"


REGIONS = (
    "{of: success, rows: [model, success.classifier], at: {defence: normal}, "
    "columns: success.circle, figure: regions}"
)


def matrix(coords):
    rates = torch.tensor([[torch.nan, 0.25], [0.75, torch.nan]])
    return {"matrix": rates - 0.25 * coords["seed"] if coords["model"] == "linear" else rates}


def grid(coords):
    images = (
        torch.linspace(0, 1, 16)
        .view(1, 1, 1, 4, 4)
        .repeat(2, 2, 3 if coords["model"] == "lenet" else 1, 1, 1)
    )
    images[1, 0] = torch.nan
    captions = torch.tensor([[1.0, 0.625], [torch.nan, 0.5]])
    return {"images": images, "captions": captions, "frames": torch.eye(2, dtype=torch.bool)}


def with_bars(coords):
    bars = torch.full((2, 2, 3), torch.nan)
    bars[0, 1] = torch.tensor([1.0, -4.0, 2.0])
    return {**grid(coords), "bars": bars, "sides": torch.tensor([0.5, torch.nan])}


def drawn(plan, store):
    (table,) = build.tables(plan, store)
    return draw.draw([table])


def texts(axes):
    return [text.get_text() for text in axes.texts]


def panels(figure):
    """The axes of a figure without colour bars and unused places."""
    return [axes for axes in figure.axes if axes.axison and axes.get_label() != "<colorbar>"]


def luminance(colour):
    parts = np.array(to_rgb(colour))
    linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
    return linear @ (0.2126, 0.7152, 0.0722)


def contrast(first, second):
    light, dark = sorted((luminance(first), luminance(second)), reverse=True)
    return (light + 0.05) / (dark + 0.05)
