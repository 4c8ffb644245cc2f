"""Data to run candidates on: the same for every config of a task."""

from __future__ import annotations

import hashlib

import numpy as np
import numpy.typing as npt

from rtcompile.codegen.program.trials import Task

__all__ = ["Floats", "generator", "normal", "small"]

Floats = npt.NDArray[np.float32]


def generator(task: Task) -> np.random.Generator:
    """Seeded by the task."""
    digest = hashlib.sha256(f"{task.kernel} {task.parameters}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:8], "little"))


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Floats:
    """float32 values around zero."""
    return rng.normal(scale=scale, size=shape).astype(np.float32)


def small(rng: np.random.Generator, *shape: int) -> Floats:
    """float32 whole numbers from -2 to 2: bfloat16 holds them, and their sums are exact."""
    return rng.integers(-2, 3, shape).astype(np.float32)
