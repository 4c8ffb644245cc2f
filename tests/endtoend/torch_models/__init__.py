"""Ranking models in torch of the shapes that open libraries have."""

from __future__ import annotations

from tests.endtoend.torch_models.attention import ATTENTION
from tests.endtoend.torch_models.bags import BAGS
from tests.endtoend.torch_models.base import Shape
from tests.endtoend.torch_models.interactions import INTERACTIONS
from tests.endtoend.torch_models.numbers import NUMBERS
from tests.endtoend.torch_models.sequences import SEQUENCES
from tests.endtoend.torch_models.tasks import TASKS

__all__ = ["SHAPES"]

SHAPES: dict[str, Shape] = {
    **{**BAGS, **INTERACTIONS, **ATTENTION},
    **{**SEQUENCES, **TASKS, **NUMBERS},
}
