"""Every library whose models can be exported, by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol, cast

import numpy.typing as npt

from rtcompile.errors import UnsupportedError

__all__ = ["ZOOS", "Exported", "Zoo", "ZooModule"]


class Exported(Protocol):
    """An exported model: `path` is its ONNX file."""

    @property
    def path(self) -> Path: ...  # noqa: D102


class ZooModule(Protocol):
    """What the module of a library has.

    `MODELS` are the names; `FEWEST_ROWS` names those whose graph cannot run on fewer rows.
    """

    @property
    def MODELS(self) -> tuple[str, ...]: ...  # noqa: D102, N802
    @property
    def FEWEST_ROWS(self) -> Mapping[str, int]: ...  # noqa: D102, N802

    def export(self, name: str, folder: Path) -> Exported:
        """Build the model `name` with seeded weights and export it to `folder`."""
        ...

    def inputs(self, count: int, seed: int) -> dict[str, npt.NDArray[Any]]:
        """Graph input -> `count` rows, with ids within their tables; of any of the models."""
        ...


@dataclass(frozen=True)
class Zoo:
    """A library. `module` is imported when it is used; `needs` are the packages that it imports,
    and `install` is the command that installs them."""

    name: str
    module: str
    needs: tuple[str, ...]
    install: str

    def load(self) -> ZooModule:
        """The library's module. Raises UnsupportedError where what it needs is not installed."""
        missing = [package for package in self.needs if find_spec(package) is None]
        if missing:
            raise UnsupportedError(
                f"the models of {self.name} need {', '.join(missing)}: {self.install}"
            )
        return cast(ZooModule, import_module(self.module))


ZOOS: dict[str, Zoo] = {
    "deepctr": Zoo(
        "deepctr-torch",
        "rtcompile.models.zoo.deepctr",
        ("torch", "sklearn", "tqdm", "deepctr_torch"),
        "pip install torch scikit-learn tqdm && pip install --no-deps deepctr-torch",
    ),
    "rechub": Zoo(
        "torch-rechub",
        "rtcompile.models.zoo.rechub",
        ("torch", "sklearn", "tqdm", "pandas", "torch_rechub"),
        "pip install torch scikit-learn tqdm pandas && pip install --no-deps torch-rechub",
    ),
}
