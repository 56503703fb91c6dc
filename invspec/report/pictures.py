"""Figures of what scores keep: matrices as heatmaps, with numbers in them or without, and grids of images."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap, Normalize, to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.patches import Rectangle

from invspec.plan.coordinates import shown
from invspec.report.payloads import Array, Picture
from invspec.report.style import FAINT, GRID, HEAT, INK, KINDS
from invspec.report.table import Labels, plain

Pictures = Mapping[Labels, Picture]

LEVELS = 64  # of a scale of colours, each a variable of the page
MOST_BESIDE = 12  # columns of a grid of images that another one may stand beside
MOST_NUMBERS = 20  # classes whose cells are wide enough for a number
WIDE = 8.4  # inches: what stands beside each other on a page
CELL = 0.36  # inches
FRAME = KINDS[2][0]
TINTS = tuple(
    tuple(
        to_hex(colour)
        for colour in LinearSegmentedColormap.from_list("heat", list(stops), LEVELS)(range(LEVELS))
    )
    for stops in HEAT
)
# black or white on a cell: what has more contrast on a white page and on a dark one, by a colour for each of four cases
_ON = {
    (False, False): ("#000000", "#000000"),
    (False, True): ("#000001", "#ffffff"),
    (True, False): ("#fffffe", "#000000"),
    (True, True): ("#ffffff", "#ffffff"),
}


def dark() -> dict[str, str]:
    """What the colours of matrices are on a dark page, where little is dark and much is light."""
    return dict(zip(*TINTS, strict=True)) | dict(_ON.values())


def heatmaps(pictures: Pictures, framed: bool) -> Figure:
    """A square for each matrix, its entries' sizes on one scale."""
    sizes = {labels: Picture(abs(picture.values)) for labels, picture in pictures.items()}
    return _squares(sizes, (2.1, 2.1), framed, numbered=False)


def matrices(pictures: Pictures, framed: bool) -> Figure:
    """A panel for each matrix of target classes by source classes, its numbers written in it, its mean above."""
    rows, columns = (
        max(sizes) for sizes in zip(*(one.values.shape for one in pictures.values()), strict=True)
    )
    cell = min(CELL, CELL * MOST_NUMBERS / max(rows, columns) / 2)
    return _squares(pictures, (cell * columns + 0.35, cell * rows + 0.45), framed, numbered=True)


def images(pictures: Pictures, framed: bool) -> Figure:
    """A grid for each score, two beside each other: its images, each with a number below, the framed ones in colour."""
    columns = max(picture.values.shape[1] for picture in pictures.values())
    across = min(len(pictures), 2 if columns <= MOST_BESIDE else 1)
    sheets = [
        Sheet.of(picture, room=WIDE / max(across, 1.25) - 0.45) for picture in pictures.values()
    ]
    width, height = (max(getattr(sheet, name) for sheet in sheets) for name in ("width", "height"))
    down = math.ceil(len(sheets) / across)
    size = ((width + 0.45) * across, (height + 0.65) * down + (0.55 if framed else 0.15))
    figure = Figure(figsize=size, layout=ConstrainedLayoutEngine(h_pad=0.1))
    grid = figure.subplots(down, across, squeeze=False)
    for axes, title, sheet in zip(grid.flat, titles(pictures), sheets, strict=False):
        sheet.draw(axes, title)
    _clear(grid, len(sheets))
    return figure


def titles(pictures: Pictures) -> list[str]:
    """What tells each picture from the others, in words."""
    varying = [len(set(values)) > 1 for values in zip(*pictures, strict=True)]
    told = [itertools.compress(labels, varying) for labels in pictures]
    return [" ".join(filter(None, map(shown, labels))) for labels in told]


def _clear(grid: Any, used: int) -> None:
    for axes in list(grid.flat)[used:]:
        axes.set_axis_off()


# ─ matrices ───────────────────────────────────────────────────────────────────────────────────────────────────────────


def _squares(
    pictures: Pictures, panel: tuple[float, float], framed: bool, numbered: bool
) -> Figure:
    across = min(len(pictures), max(int(WIDE / panel[0]), 1))
    down = math.ceil(len(pictures) / across)
    size = (panel[0] * across + 0.8, (panel[1] + 0.25) * down + (0.55 if framed else 0.15))
    figure = Figure(figsize=size, layout="constrained")
    grid, scale = figure.subplots(down, across, squeeze=False), _scale(pictures)
    tints = LinearSegmentedColormap.from_list("heat", [*HEAT[0]], LEVELS).with_extremes(bad=GRID)
    drawn: Any = None
    for axes, title, picture in zip(grid.flat, titles(pictures), pictures.values(), strict=False):
        values = np.ma.masked_invalid(picture.values)
        drawn = axes.pcolormesh(values, norm=scale, cmap=tints, edgecolors="face", linewidth=0.5)
        axes.set_aspect("equal")
        axes.invert_yaxis()
        mean = f"mean {plain(float(values.mean()), 2)}" if numbered and values.count() else ""
        axes.set_title(
            " \N{MIDDLE DOT} ".join(filter(None, [title, mean])),
            loc="left",
            color=INK,
            fontsize=8.5,
        )
        _classes(axes, picture.values, scale) if numbered else axes.set(xticks=[], yticks=[])
    _clear(grid, len(pictures))
    bar = figure.colorbar(drawn, ax=list(grid.flat), shrink=0.7, aspect=22, pad=0.02)
    assert bar.solids is not None, "a scale without colours"
    bar.solids.set(
        rasterized=False, edgecolor="face", linewidth=0.5
    )  # paths, whose colours a page can change
    bar.outline.set_visible(False)  # pyright: ignore[reportCallIssue]  # typed as its rectangle's spine
    bar.ax.tick_params(length=2.5, width=0.7)
    return figure


def _scale(pictures: Pictures) -> Normalize:
    """From 0, or less, to 1, or more, where the largest entry of all matrices is beyond."""
    entries = np.concatenate(
        [picture.values[np.isfinite(picture.values)] for picture in pictures.values()]
    )
    return Normalize(float(entries.min(initial=0.0)), float(entries.max(initial=1.0)))


def _classes(axes: Axes, values: Array, scale: Normalize) -> None:
    """Class numbers along both axes and, where there is room, each entry's number in its cell."""
    rows, columns = values.shape
    every = math.ceil(max(rows, columns) / MOST_NUMBERS)
    axes.set_xticks(np.arange(0, columns, every) + 0.5, [str(k) for k in range(0, columns, every)])
    axes.set_yticks(np.arange(0, rows, every) + 0.5, [str(k) for k in range(0, rows, every)])
    axes.tick_params(length=0, pad=2)
    axes.spines[:].set(color=GRID)
    axes.set_xlabel("source class")
    axes.set_ylabel("target class")
    if every > 1:
        return
    decimals = max(2 - len(str(int(max(abs(scale.vmin or 0), abs(scale.vmax or 0))))) + 1, 0)
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            text, colour = plain(value, decimals), on_cell(float(scale(value)))
            axes.text(
                column + 0.5, row + 0.53, text, ha="center", va="center", fontsize=6.5, color=colour
            )


def on_cell(place: float) -> str:
    """The colour of text on a cell that is at a place of the scale, 0 to 1."""
    level = min(int(place * LEVELS), LEVELS - 1)
    light, dark = (_wants_light(tints[level]) for tints in TINTS)
    return _ON[light, dark][0]


def _wants_light(colour: str) -> bool:
    """Whether white text has more contrast on a colour than black text, by the relative luminance of WCAG 2."""
    linear = [
        part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4
        for part in to_rgb(colour)
    ]
    luminance = float(np.dot((0.2126, 0.7152, 0.0722), linear))
    return 1.05 / (luminance + 0.05) > (luminance + 0.05) / 0.05


# ─ images ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(frozen=True)
class Sheet:
    """Where the images of a grid stand, in inches: side is the width of one, tall its height.

    below is the room for a caption under an image, above for bars over it.
    """

    picture: Picture
    side: float
    tall: float
    below: float
    above: float
    gap: float = 0.06

    @classmethod
    def of(cls, picture: Picture, room: float) -> Sheet:
        """Images as large as there is room for, up to an inch."""
        _, columns, _, high, wide = picture.values.shape
        side = min(1.0, room / columns - cls.gap)
        below, above = (
            0.0 if part is None else size
            for part, size in ((picture.captions, 0.17), (picture.bars, 0.3))
        )
        return cls(picture, side, side * high / wide, below, above)

    @property
    def pitch(self) -> float:
        """From the top of a row to that of the next."""
        return self.above + self.tall + self.below + self.gap

    @property
    def width(self) -> float:
        """Of the whole grid."""
        return self.picture.values.shape[1] * (self.side + self.gap)

    @property
    def height(self) -> float:
        """Of the whole grid."""
        return self.picture.values.shape[0] * self.pitch

    def draw(self, axes: Axes, title: str) -> None:
        """All images, their captions, frames and bars, and what the rows and columns are."""
        picture = self.picture
        told = bool(picture.headings or picture.sides)
        axes.set_title(
            title, loc="left", color=INK, y=1.0, pad=15 if told else 27
        )  # points: one line above, or two
        for place in np.ndindex(*picture.values.shape[:2]):
            if np.isfinite(picture.values[place]).all():
                self._image(axes, place)
                if picture.bars is not None and np.isfinite(picture.bars[place]).all():
                    self._bars(
                        axes, place, picture.bars[place], float(np.nanmax(np.abs(picture.bars)))
                    )
        axes.set(xlim=(0, self.width), ylim=(self.height, 0), aspect="equal")
        self._headings(axes)

    def _corner(self, place: tuple[int, ...]) -> tuple[float, float]:
        """Top and left of an image."""
        return place[0] * self.pitch + self.above, place[1] * (self.side + self.gap) + self.gap / 2

    def _image(self, axes: Axes, place: tuple[int, ...]) -> None:
        captions, frames = self.picture.captions, self.picture.frames
        top, left = self._corner(place)
        extent = (left, left + self.side, top + self.tall, top)
        axes.imshow(pixels(self.picture.values[place]), extent=extent, interpolation="none")
        framed = frames is not None and bool(frames[place])
        edge, width = (FRAME, 1.8) if framed else (GRID, 0.5)
        axes.add_patch(
            Rectangle(
                (left, top),
                self.side,
                self.tall,
                fill=False,
                edgecolor=edge,
                linewidth=width,
                clip_on=False,
            )
        )
        if captions is not None and np.isfinite(captions[place]):
            text, weight = plain(float(captions[place]), 2), "bold" if framed else "normal"
            middle, line = left + self.side / 2, top + self.tall + self.below / 2
            axes.text(
                middle,
                line,
                text,
                ha="center",
                va="center",
                fontsize=6.5,
                color=INK,
                fontweight=weight,
            )

    def _bars(self, axes: Axes, place: tuple[int, ...], bars: Array, greatest: float) -> None:
        """A bar for each number, up or down from a line, on one scale in all of the grid; the largest in colour."""
        top, left = self._corner(place)
        wide, half = self.side / len(bars), 0.45 * self.above
        middle = top - self.above / 2
        heights = half * bars / (greatest or 1.0)
        axes.plot([left, left + self.side], [middle, middle], color=GRID, linewidth=0.5)
        for k, height in enumerate(heights):
            colour = FRAME if k == np.argmax(bars) else FAINT
            axes.add_patch(
                Rectangle(
                    (left + (k + 0.1) * wide, middle),
                    0.8 * wide,
                    -height,
                    color=colour,
                    linewidth=0,
                )
            )

    def _headings(self, axes: Axes) -> None:
        rows, columns = self.picture.values.shape[:2]
        headings, sides = self.picture.headings, self.picture.sides
        across = [(column + 0.5) * (self.side + self.gap) for column in range(columns)]
        down = [row * self.pitch + self.above + self.tall / 2 for row in range(rows)]
        axes.xaxis.set_label_position("top")
        axes.tick_params(length=0, pad=2, top=True, bottom=False, labeltop=True, labelbottom=False)
        axes.spines[:].set_visible(False)
        if headings or sides:
            axes.set_xticks(across if headings else [], list(headings))
            axes.set_yticks(down if sides else [], list(sides))
            return
        axes.set_xticks(across, [str(k) for k in range(columns)])
        axes.set_yticks(down, [str(k) for k in range(rows)])
        axes.set_xlabel("source class", color=FAINT)
        axes.set_ylabel("target class", color=FAINT)


FINE = 96  # pixels: small images are enlarged to about so many, since not every viewer leaves pixels sharp


def pixels(image: Array) -> Array:
    """An image (channels, H, W) in [0, 1] as (H', W', 3) uint8, each pixel a square of several; not RGB: grey."""
    colours = (
        image if len(image) == 3 else np.broadcast_to(image.mean(axis=0), (3, *image.shape[1:]))
    )
    levels = np.round(np.clip(colours, 0, 1) * 255).astype(np.uint8).transpose(1, 2, 0)
    times = max(round(FINE / max(levels.shape[:2])), 1)
    return levels.repeat(times, axis=0).repeat(times, axis=1)
