"""Feature-generation cases recorded from the peer, as parameters for tests."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

FOLDER = Path(__file__).parent


@dataclass(frozen=True)
class Case:
    """One case; `columns` are plain Python values, maps as mappings."""

    name: str
    features: list[dict[str, Any]]
    hash: str
    output: str
    inputs: dict[str, Any]
    expect: dict[str, Any]
    sparse: bool

    def columns(self) -> dict[str, list[Any]]:
        """Input columns as Python values."""
        return {
            name: [
                dict(v) if column["type"].startswith("map") and v is not None else v
                for v in column["values"]
            ]
            for name, column in self.inputs.items()
        }

    def check(self, column: Any) -> None:
        """Compare an output column with what is expected."""
        want = np.array(self.expect["values"])
        if self.sparse:
            assert column.values.tolist() == want.tolist()
        else:
            np.testing.assert_allclose(column.values, want, rtol=1e-6, atol=1e-7)
        for part in ("lengths", "key_lengths", "seq_lengths"):
            if part in self.expect:
                assert getattr(column, part).tolist() == self.expect[part], part
        if "weights" in self.expect:
            np.testing.assert_allclose(column.weights, self.expect["weights"], rtol=1e-6)


def load_cases() -> list[Case]:
    """The cases of every type that there is."""
    return [
        Case(
            c["case"], c["features"], c["hash"], c["output"], c["inputs"], c["expect"], c["sparse"]
        )
        for c in json.loads((FOLDER / "cases.json").read_text())
    ]
