"""Run a stage whose outputs are feature columns."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcompile.runtime.abi.extract import Cursor
from rtcompile.runtime.columns import Column
from rtcompile.runtime.encoding.column_spec import read_specs
from rtcompile.runtime.encoding.encode import Encoder
from rtcompile.runtime.encoding.encoded import Encoded
from rtcompile.runtime.encoding.unparsed import UnparsedValues
from rtcompile.runtime.ffi import tvm_ffi
from rtcompile.runtime.memory.scratch import Scratch
from rtcompile.runtime.stages.stage import Stage

__all__ = ["ColumnStage"]


class ColumnStage:
    """Features of encoded columns, as columns. Safe to call from many threads at once.

    `where` names a raw column in messages, `unparsed` takes what cannot be read.
    """

    def __init__(
        self,
        function: Any,
        description: dict[str, Any],
        constants: Any,
        assets: Mapping[str, bytes],
        where: Callable[[str], str] = repr,
        unparsed: UnparsedValues | None = None,
    ) -> None:
        unparsed = unparsed or UnparsedValues()
        self.stage = Stage(function, description, constants, strict=unparsed.strict)
        self._scratch = Scratch(description)
        self._features: list[dict[str, Any]] = description["columns_out"]
        self.encoder = Encoder(read_specs(description["columns"], assets), where, unparsed)
        self.specs = self.encoder.specs

    def run(self, encoded: Encoded) -> dict[str, Column]:
        """Every feature of `encoded.rows` rows, in the order of the config."""
        sizes = self.sizes(encoded)
        scratch = self._scratch.take(encoded.bound, encoded.shared, encoded.rows)
        results = self.stage.run(encoded.rows, (encoded.columns, scratch.array), sizes)
        self._scratch.give_back(scratch)
        found = dict(zip((port.name for port in self.stage.outputs), results, strict=True))
        return {feature["name"]: _column(feature, found, encoded) for feature in self._features}

    def prepared(self, encoded: Encoded) -> Callable[[], None]:
        """A call that runs the kernels again and again into the same memory: for measurements."""
        results = self.stage.allocate(encoded.rows, self.sizes(encoded))
        columns = tvm_ffi.from_dlpack(encoded.columns)

        def run() -> None:
            scratch = self._scratch.take(encoded.bound, encoded.shared, encoded.rows)
            self.stage.call(encoded.rows, [columns, scratch.tensor, *results.arguments])
            self._scratch.give_back(scratch)

        return run

    def sizes(self, encoded: Encoded) -> dict[str, int]:
        """Output -> at least the elements that it can have, where the data decides."""
        largest = self._largest(encoded)
        return {
            port.name: Cursor.WORDS
            if port.name.endswith(".cursor")
            else largest[_feature(port.name)]
            for port in self.stage.outputs
            if port.per_request
        }

    def _largest(self, encoded: Encoded) -> dict[str, int]:
        """Feature -> at least the values that it can have."""
        bounds = [encoded.row_bounds(i, spec) for i, spec in enumerate(self.specs)]
        found = {}
        for feature in self._features:
            a_row = np.ones(encoded.rows, np.int64)
            for column in feature["reads"]:
                a_row = a_row * bounds[column]
            found[feature["name"]] = int(a_row.sum()) * feature["fanout"]
        return found


def _feature(port: str) -> str:
    return port.rpartition(".")[0]


def _column(
    feature: dict[str, Any], found: dict[str, npt.NDArray[Any]], encoded: Encoded
) -> Column:
    name, values = feature["name"], found[f"{feature['name']}.values"]
    lengths = found[f"{name}.lengths"] if feature["sequence"] else None
    empty = encoded.rows == 0  # then nothing ran, and nothing was written
    if not feature["sparse"]:
        if lengths is not None:
            width = feature["value_dim"]
            elements = 0 if empty else int(lengths.sum())
            values = values[: elements * width].reshape(elements, width).copy()
        return Column(values, seq_lengths=lengths)
    cursor = found[f"{name}.cursor"]
    count, entries = (0, 0) if empty else (int(cursor[f]) for f in (Cursor.VALUES, Cursor.ENTRIES))
    counts = found[f"{name}.counts"][:entries].copy()
    weights = found[f"{name}.weights"][:count].copy() if feature["weighted"] else None
    ids: npt.NDArray[np.int64] = values[:count].copy()
    if lengths is None:
        return Column(ids, lengths=counts, weights=weights)
    return Column(ids, key_lengths=counts, seq_lengths=lengths, weights=weights)
