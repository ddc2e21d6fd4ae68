"""Pictures of protecting operators: the family, the open choices, what leaks at the rim."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import torch

from privhead_nb.privacy.operators import KINDS, Operator
from privhead_nb.scenes.images import resize_area
from privhead_nb.teach.lesson03.detector import Picture, Portrait, drawing, released

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Setting = tuple[Operator, int]  # an operator and the release's size

_LUMA = np.array([0.299, 0.587, 0.114])


def family(portraits: Sequence[Portrait], size: int) -> Figure:
    """A column for each kind: its kernel for d/dx, then the modulus of each portrait.

    Kernels are drawn on one scale each: white is its largest weight, black the same below zero,
    and mid-grey is nothing.
    """
    figure, axes = squares(1 + len(portraits), 1 + len(KINDS), tile=1.32, head=0.22)
    axes[0][0].text(0.5, 0.5, "kernel\nof d/dx", ha="center", va="center", fontsize=10)
    for row, portrait in zip(axes[1:], portraits, strict=True):
        draw(row[0], resize_area(portrait.picture, size, size))
    for column, kind in enumerate(KINDS, start=1):
        operator = Operator(kind)
        kernel = operator.kernels()[0].numpy()
        top = float(np.abs(kernel).max())
        axes[0][column].imshow(kernel, cmap="gray", vmin=-top, vmax=top, interpolation="nearest")
        axes[0][column].set_title(kind, fontsize=10, pad=3)
        _frame(axes[0][column])
        for row, portrait in zip(axes[1:], portraits, strict=True):
            draw(row[column], drawing(released(portrait.picture, operator, size)))
    return figure


def strip(
    portraits: Sequence[Portrait],
    settings: Mapping[str, Setting],
    fact: Callable[[Picture], str] | None = None,
) -> Figure:
    """One choice, from setting to setting: a row for each portrait, a column for each setting.

    Args:
        portraits: whose.
        settings: title -> operator and size.
        fact: what to write under a modulus (size, size).
    """
    foot = 0.0 if fact is None else 0.24
    figure, axes = squares(len(portraits), len(settings), tile=1.75, head=0.25, foot=foot)
    for row, portrait in zip(axes, portraits, strict=True):
        for ax, (title, (operator, size)) in zip(row, settings.items(), strict=True):
            modulus = released(portrait.picture, operator, size)
            draw(ax, drawing(modulus))
            if row is axes[0]:
                ax.set_title(title, fontsize=10, pad=3)
            if fact is not None:
                ax.text(
                    0.5, -0.03, fact(modulus), transform=ax.transAxes, fontsize=9, ha="center",
                    va="top",
                )  # fmt: skip
    return figure


def equal_luma() -> Figure:
    """A disc that differs from its ground in colour, not in luma, and what two operators see."""
    picture, _ = equal_luma_picture()
    names = {
        "the picture": picture,
        "its luma": np.repeat((picture @ _LUMA)[..., None], 3, axis=2),
        "per channel": drawing(_modulus(picture, Operator())),
        "of luma alone": 1
        - np.repeat(_modulus(picture, Operator(per_channel=False))[..., None], 3, 2),
    }
    figure, axes = squares(1, len(names), tile=1.9, head=0.25)
    for ax, (name, shown) in zip(axes[0], names.items(), strict=True):
        draw(ax, shown)
        _frame(ax)
        ax.set_title(name, fontsize=10, pad=3)
    return figure


def equal_luma_picture(size: int = 64) -> tuple[Picture, float]:
    """A picture (size, size, 3) of two colours with one luma, and their largest channel gap."""
    ground = np.array([0.85, 0.45, 0.40])
    disc = np.array([0.45, 0.0, 0.60])
    disc[1] = (_LUMA @ ground - _LUMA[[0, 2]] @ disc[[0, 2]]) / _LUMA[1]
    y, x = np.mgrid[:size, :size] - (size - 1) / 2
    inside = (np.hypot(x, y) < 0.3 * size)[..., None]
    picture = np.where(inside, disc, ground).astype(np.float32)
    return picture, float(np.abs(disc - ground).max())


def before_a_wall(portrait: Portrait, size: int = 256) -> tuple[Picture, Picture]:
    """A made head set before a brick wall: picture (size, size, 3), and its mask (size, size).

    The mask is where the portrait is not its plain white.
    """
    from skimage.data import brick

    cover = (portrait.picture.min(axis=2) < 0.985).astype(np.float32)
    wall = resize_area(brick().astype(np.float32) / 255, size, size)[..., None]
    wall = wall * np.array([0.95, 0.75, 0.65], np.float32)
    mask = cover[..., None]
    return (portrait.picture * mask + wall * (1 - mask)).astype(np.float32), cover


def backgrounds(portrait: Portrait, size: int = 64) -> Figure:
    """A head before a wall: the photo, and its modulus with the wall kept and made flat."""
    picture, mask = before_a_wall(portrait)
    flat = flattened(picture, mask)
    names = {
        "the photo": picture,
        'background="kept"': drawing(released(picture, Operator(), size)),
        "made flat: the photo": flat,
        'background="flat"': drawing(released(flat, Operator(background="flat"), size)),
    }
    figure, axes = squares(1, len(names), tile=1.9, head=0.25)
    for ax, (name, shown) in zip(axes[0], names.items(), strict=True):
        draw(ax, shown)
        ax.set_title(name, fontsize=10, pad=3)
    return figure


def flattened(picture: Picture, mask: Picture) -> Picture:
    """What `protect` does first where `background="flat"`: white outside of the mask (H, W)."""
    return picture * mask[..., None] + (1 - mask[..., None])


def _modulus(picture: Picture, operator: Operator) -> Picture:
    return operator.modulus(torch.from_numpy(picture)).numpy()


def squares(
    rows: int, columns: int, *, tile: float, head: float = 0.0, foot: float = 0.0
) -> tuple[Figure, list[list[Axes]]]:
    """Square axes without ticks, placed by hand; inches."""
    from matplotlib.figure import Figure

    gap = 0.06
    width, step = columns * (tile + gap) + gap, tile + gap + foot
    height = head + rows * step + gap
    figure = Figure(figsize=(width, height), dpi=100)
    axes = []
    for i in range(rows):
        low = height - head - i * step - tile
        boxes = [(gap + j * (tile + gap), low, tile, tile) for j in range(columns)]
        axes.append(
            [
                figure.add_axes((x / width, y / height, w / width, h / height))
                for x, y, w, h in boxes
            ]
        )
    for ax in (a for row in axes for a in row):
        ax.set_axis_off()
    return figure, axes


def _frame(ax: Axes) -> None:
    ax.set_axis_on()
    ax.set(xticks=[], yticks=[])
    ax.spines[:].set(color="0.5", linewidth=0.8)


def draw(ax: Axes, picture: Picture) -> None:
    ax.imshow(np.clip(picture, 0, 1), vmin=0, vmax=1, interpolation="nearest")
