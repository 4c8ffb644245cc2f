"""What a dense kernel is specialised for, and its name."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace

from rtcompile.relay_passes.dialect.epilogue import Epilogue

__all__ = ["DenseShape", "kernel_name"]

_STORED = Epilogue()


@dataclass(frozen=True)
class DenseShape:
    """What a dense kernel is specialised for."""

    depth: int
    columns: int
    epilogue: Epilogue = _STORED

    @property
    def name(self) -> str:
        """Name of the kernel; equal shapes share one."""
        return kernel_name(f"dense_{self.depth}x{self.columns}", self.epilogue)

    @property
    def weight_bytes(self) -> int:
        """Of the weights in float32."""
        return 4 * self.depth * self.columns

    def at_length(self, length: int) -> DenseShape:
        """The kernel for a sequence whose length is known: what is tuned in its place."""
        forms = {"div0": f"div{length}", "mod0": f"mod{length}"}
        return replace(self, epilogue=self.epilogue.with_forms(forms))

    @property
    def parameters(self) -> dict[str, int | str]:
        """What a tuning task of the kernel has."""
        return {"depth": self.depth, "columns": self.columns, "epilogue": str(self.epilogue)}


def kernel_name(base: str, epilogue: Epilogue) -> str:
    """The name of a kernel with an epilogue: its operators, and a digest of all of it."""
    if not epilogue.steps:
        return base
    digest = hashlib.sha256(str(epilogue).encode()).hexdigest()[:8]
    operators = dict.fromkeys(step.operator for step in epilogue.steps)
    return "_".join([base, *operators, digest])
