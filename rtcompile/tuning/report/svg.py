"""Charts as inline SVG: no script, no network, colours from the page's style sheet."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

__all__ = ["Frame", "circle", "drawing", "line", "path", "rectangle", "text", "ticks"]


def drawing(width: float, height: float, label: str, parts: Sequence[str]) -> str:
    """A drawing that scales with the page; `label` is read aloud in its place."""
    return (
        f'<svg viewBox="0 0 {width:g} {height:g}" role="img" aria-label="{escape(label)}">'
        f"{''.join(parts)}</svg>"
    )


def line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def path(points: Sequence[tuple[float, float]], kind: str) -> str:
    """Straight lines from point to point."""
    steps = "L".join(f"{x:.1f} {y:.1f}" for x, y in points)
    return f'<path class="{kind}" d="M{steps}"/>'


def circle(x: float, y: float, radius: float, kind: str, hint: str) -> str:
    """A dot; `hint` shows when the pointer rests on it."""
    return (
        f'<circle class="{kind}" cx="{x:.1f}" cy="{y:.1f}" r="{radius:g}">'
        f"<title>{escape(hint)}</title></circle>"
    )


def rectangle(x: float, y: float, width: float, height: float, kind: str) -> str:
    """A bar."""
    return (
        f'<rect class="{kind}" x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" '
        f'height="{height:.1f}" rx="2"/>'
    )


def text(x: float, y: float, content: str, kind: str) -> str:
    """A word or two; `x` is where it starts, ends or has its middle, as `kind` says."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}">{escape(content)}</text>'


def ticks(top: float, about: int = 4) -> list[float]:
    """Round values from 0 to at most `top`, about so many steps apart."""
    if not top > 0:
        return [0.0]
    rough = top / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= rough * 0.999)
    return [step * i for i in range(int(top / step + 1e-9) + 1)]


@dataclass(frozen=True)
class Frame:
    """The area of a chart inside its drawing: x from 0 to `most`, y from 0 to `top`."""

    left: float
    above: float
    width: float
    height: float
    most: float
    top: float

    def x(self, value: float) -> float:
        """Where a value lies; beyond the frame it lies on its edge."""
        return self.left + self.width * min(value / (self.most or 1), 1)

    def y(self, value: float) -> float:
        """Where a value lies; beyond the frame it lies on its edge."""
        return self.above + self.height * (1 - min(value / (self.top or 1), 1))

    def axes(self, x_label: str, y_label: str) -> list[str]:
        """Grid lines, ticks and what the axes show."""
        right, bottom = self.left + self.width, self.above + self.height
        parts = [text(self.left, self.above - 8, y_label, "axis start")]
        for value in ticks(self.top):
            at = self.y(value)
            parts.append(line(self.left, at, right, at, "grid"))
            parts.append(text(self.left - 6, at + 3.5, f"{value:g}", "axis end"))
        for value in ticks(self.most, 5):
            if value == int(value):
                parts.append(text(self.x(value), bottom + 15, f"{value:g}", "axis middle"))
        parts.append(text(right, bottom + 29, x_label, "axis end"))
        return parts
