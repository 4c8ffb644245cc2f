"""How a product is cut: panels of columns, blocks of rows, and in which order they are visited.

    PanelConfig(width=64, rows=6) on 100 columns, AVX-512:

        panels     64 | 32 | 8 (4 of them padding)
        blocks     6 rows by each panel, while there are as many; then 3; then 1

A config is what tuning searches; `default_panels` is the one that follows from the registers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.targets import Registers

__all__ = [
    "Panel",
    "PanelConfig",
    "default_panels",
    "heights",
    "pack_columns",
    "pack_weight",
    "panel_configs",
    "panels",
]

# A narrow panel's registers would hold more. Blocks of 8 rows gain a quarter at 64 rows of 8
# columns and lose a third at 7 rows, which they cut less well.
_MOST_ROWS = 6

_NARROWEST = 8

_ROWS = (1, 2, 3, 4, 6, 8)
_TALLEST = 12


@dataclass(frozen=True)
class PanelConfig:
    """`width` columns of the widest panel, at most `rows` rows a block.

    `unroll`: steps of the depth that one turn of the inner loop does. `rows_outer`: 1 where all
    panels of a block of rows are done before the next block, 0 where a panel does all rows first.
    """

    width: int
    rows: int
    unroll: int = 1
    rows_outer: int = 0

    @staticmethod
    def of(config: Mapping[str, int]) -> PanelConfig:
        """The config of a record."""
        return PanelConfig(**config)

    def as_dict(self) -> dict[str, int]:
        """The config as a record has it."""
        return asdict(self)

    @property
    def tag(self) -> str:
        """What tells kernels of different configs apart."""
        return f"w{self.width}r{self.rows}u{self.unroll}{'b' if self.rows_outer else 'p'}"


@dataclass(frozen=True)
class Panel:
    """`width` packed columns from column `start` on, of which `valid` are stored.

    `rows`: of the blocks that it is multiplied in.
    """

    start: int
    width: int
    valid: int
    rows: int


def default_panels(registers: Registers) -> PanelConfig:
    """The widest panel that the registers hold well, in blocks of at most 6 rows."""
    return PanelConfig(registers.widest_panel(), _MOST_ROWS)


def heights(most: int) -> list[int]:
    """Rows of the blocks, `most` first, then halves down to single ones."""
    found = [most]
    while found[-1] > 1:
        found.append(found[-1] // 2)
    return found


def panel_configs(registers: Registers, columns: int, most_rows: int) -> list[PanelConfig]:
    """What there is to try for `columns` columns and calls of up to `most_rows` rows.

    The default comes first; what would emit the same code as another is left out. Widths are powers
    of two (LLVM keeps 48 sums on the stack) of which a row's sums at least fit the registers.
    """
    lanes = max(registers.bits // 32, _NARROWEST)
    found = [default_panels(registers)]
    for vectors in (1, 2, 4, 8):
        width = vectors * lanes
        if (width > columns and vectors > 1) or registers.block_rows(width) < 1:
            continue
        most = min(registers.block_rows(width), most_rows, _TALLEST)
        rows = sorted({most, *(r for r in _ROWS if r < most)}, reverse=True)
        for height, unroll, order in product(rows, (1, 2, 4), (0, 1)):
            if order == 0 or (height < most_rows and width < columns):
                found.append(PanelConfig(width, height, unroll, order))
    effects = {
        (panels(columns, registers, config), config.unroll, config.rows_outer): config
        for config in reversed(found)
    }
    return [config for config in dict.fromkeys(found) if config in effects.values()]


def panels(
    columns: int,
    registers: Registers,
    config: PanelConfig | None = None,
    narrowest: int = _NARROWEST,
) -> tuple[Panel, ...]:
    """Cut `columns` into panels of the config's width, then halves down to `narrowest`.

    The last one is padded. Without a config: as the registers suggest.
    """
    config = config or default_panels(registers)
    cut, start, width = [], 0, config.width
    while start < columns:
        if columns - start >= width or width == narrowest:
            valid = min(width, columns - start)
            rows = max(1, min(registers.block_rows(width), config.rows))
            cut.append(Panel(start, width, valid, rows))
            start += valid
        else:
            width //= 2
    return tuple(cut)


def pack_weight(weight: npt.NDArray[np.float32], cut: tuple[Panel, ...]) -> npt.NDArray[np.float32]:
    """W [depth, columns] as panels one behind the other, flat float32."""
    parts = []
    for panel in cut:
        block = np.zeros((weight.shape[0], panel.width), np.float32)
        block[:, : panel.valid] = weight[:, panel.start : panel.start + panel.valid]
        parts.append(block.reshape(-1))
    return np.concatenate(parts)


def pack_columns(row: npt.NDArray[Any], cut: tuple[Panel, ...]) -> npt.NDArray[Any]:
    """A value a column, such as a bias, padded with zeros where the panels are."""
    padded = np.zeros(sum(panel.width for panel in cut), row.dtype)
    padded[: row.shape[0]] = row
    return padded
