"""Grids of images with captions, frames and bars."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from invspec.report.drawings import Array, Drawing
from invspec.report.figures.grids import PAGE_WIDTH, hide_unused, titles
from invspec.report.format import decimal
from invspec.report.style import FAINT, GRID, INK, PALETTE
from invspec.report.table import Table

# A grid with more columns than this takes a whole row of the figure.
MAX_COLUMNS_BESIDE = 12
FRAME = PALETTE[2][0]
# Inches.
LARGEST_IMAGE, CAPTION_HEIGHT, BARS_HEIGHT = 1.0, 0.17, 0.3
# Points between a grid and its title: space for one line of headings, or for two.
ONE_LINE, TWO_LINES = 15, 27
# Small images are enlarged to about this many pixels, because some viewers blur small images.
ENLARGED = 96


def draw(table: Table, framed: bool) -> Figure:
    """A grid of images for each score, two grids side by side if they are narrow."""
    drawings = table.drawings
    columns = max(drawing.values.shape[1] for drawing in drawings.values())
    across = min(len(drawings), 2 if columns <= MAX_COLUMNS_BESIDE else 1)
    max_width = PAGE_WIDTH / max(across, 1.25) - 0.45
    sheets = [Sheet.of(drawing, max_width) for drawing in drawings.values()]
    width, height = max(sheet.width for sheet in sheets), max(sheet.height for sheet in sheets)
    down = math.ceil(len(sheets) / across)
    size = ((width + 0.45) * across, (height + 0.65) * down + (0.55 if framed else 0.15))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.1))
    grid = figure.subplots(down, across, squeeze=False)
    for axes, title, sheet in zip(grid.flat, titles(table), sheets, strict=False):
        sheet.draw(axes, title)
    hide_unused(grid, len(sheets))
    return figure


@dataclass(frozen=True)
class Sheet:
    """A grid of images and its geometry, in inches.

    image_width and image_height are the size of one image; below is the space for its caption,
    above the space for its bars, gap the space between images.
    """

    drawing: Drawing
    image_width: float
    image_height: float
    below: float
    above: float
    gap: float = 0.06

    @classmethod
    def of(cls, drawing: Drawing, max_width: float) -> Sheet:
        """A sheet at most max_width inches wide, of images at most an inch wide."""
        _, columns, _, height, width = drawing.values.shape
        image_width = min(LARGEST_IMAGE, max_width / columns - cls.gap)
        below = 0.0 if drawing.captions is None else CAPTION_HEIGHT
        above = 0.0 if drawing.bars is None else BARS_HEIGHT
        return cls(drawing, image_width, image_width * height / width, below, above)

    @property
    def row_height(self) -> float:
        """Distance from the top of one row to the top of the next."""
        return self.above + self.image_height + self.below + self.gap

    @property
    def width(self) -> float:
        """Width of the whole grid."""
        return self.drawing.values.shape[1] * (self.image_width + self.gap)

    @property
    def height(self) -> float:
        """Height of the whole grid."""
        return self.drawing.values.shape[0] * self.row_height

    def draw(self, axes: Axes, title: str) -> None:
        """Draw all images with captions, frames, bars and headings."""
        drawing = self.drawing
        pad = ONE_LINE if drawing.headings or drawing.sides else TWO_LINES
        axes.set_title(title, loc="left", color=INK, y=1.0, pad=pad)
        for place in np.ndindex(*drawing.values.shape[:2]):
            if np.isfinite(drawing.values[place]).all():
                self._draw_image(axes, place)
                if drawing.bars is not None and np.isfinite(drawing.bars[place]).all():
                    largest = float(np.nanmax(np.abs(drawing.bars)))
                    self._draw_bars(axes, place, drawing.bars[place], largest)
        axes.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        self._add_headings(axes)

    def _corner(self, place: tuple[int, ...]) -> tuple[float, float]:
        """x and y of the upper left corner of an image; y grows downwards."""
        row, column = place
        x = column * (self.image_width + self.gap) + self.gap / 2
        return x, row * self.row_height + self.above

    def _draw_image(self, axes: Axes, place: tuple[int, ...]) -> None:
        x, y = self._corner(place)
        extent = (x, x + self.image_width, y + self.image_height, y)
        axes.imshow(pixels(self.drawing.values[place]), extent=extent, interpolation="none")
        frames, captions = self.drawing.frames, self.drawing.captions
        is_framed = frames is not None and bool(frames[place])
        edge: dict[str, Any] = {
            "edgecolor": FRAME if is_framed else GRID,
            "linewidth": 1.8 if is_framed else 0.5,
        }
        size = (self.image_width, self.image_height)
        axes.add_patch(Rectangle((x, y), *size, fill=False, clip_on=False, **edge))
        if captions is not None and np.isfinite(captions[place]):
            self._write_caption(axes, place, decimal(float(captions[place]), 2), is_framed)

    def _write_caption(
        self, axes: Axes, place: tuple[int, ...], text: str, is_framed: bool
    ) -> None:
        x, y = self._corner(place)
        middle = (x + self.image_width / 2, y + self.image_height + self.below / 2)
        style: dict[str, Any] = {
            "ha": "center",
            "va": "center",
            "fontweight": "bold" if is_framed else "normal",
        }
        axes.text(*middle, text, fontsize=6.5, color=INK, **style)

    def _draw_bars(self, axes: Axes, place: tuple[int, ...], values: Array, largest: float) -> None:
        """A bar for each value, up or down from a line, the highest in colour.

        All bars of the grid share one scale.
        """
        x, y = self._corner(place)
        width, half = self.image_width / len(values), 0.45 * self.above
        baseline = y - self.above / 2
        heights = half * values / (largest or 1.0)
        axes.plot([x, x + self.image_width], [baseline] * 2, color=GRID, linewidth=0.5)
        for k, height in enumerate(heights):
            colour = FRAME if k == np.argmax(values) else FAINT
            corner = (x + (k + 0.1) * width, baseline)
            axes.add_patch(Rectangle(corner, 0.8 * width, -height, color=colour, linewidth=0))

    def _add_headings(self, axes: Axes) -> None:
        """Label rows and columns: by the drawing's own headings, else by class numbers."""
        rows, columns = self.drawing.values.shape[:2]
        headings, sides = self.drawing.headings, self.drawing.sides
        x = [(column + 0.5) * (self.image_width + self.gap) for column in range(columns)]
        y = [row * self.row_height + self.above + self.image_height / 2 for row in range(rows)]
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=2, top=True, bottom=False, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        if headings or sides:
            axes.set_xticks(x if headings else [], list(headings))
            axes.set_yticks(y if sides else [], list(sides))
            return
        axes.set_xticks(x, [str(k) for k in range(columns)])
        axes.set_yticks(y, [str(k) for k in range(rows)])
        axes.set_xlabel("source class", color=FAINT)
        axes.set_ylabel("target class", color=FAINT)


def pixels(image: Array) -> Array:
    """An image (channels, H, W) in [0, 1] as (H', W', 3) uint8, enlarged by a whole factor.

    Images without exactly three channels are shown in grey, as the mean of their channels.
    """
    grey = image.mean(axis=0)
    colours = image if len(image) == 3 else np.broadcast_to(grey, (3, *image.shape[1:]))
    levels = np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    times = max(round(ENLARGED / max(levels.shape[:2])), 1)
    return levels.repeat(times, axis=0).repeat(times, axis=1)
