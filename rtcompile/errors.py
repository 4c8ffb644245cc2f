"""Every error that the build side raises on purpose.

RtcompileError                  1
├── ModelError                 10   the graph cannot be read, or says something impossible
│   └── UnsupportedError       11   the graph is fine, but uses what is not supported yet
├── ConfigError                20   the feature config is wrong; lists every problem
│   └── BindingError           21   features and graph inputs do not fit together
├── EmbeddingsError            22   an embedding table is missing or has the wrong shape
├── DataError                  30   rows, requests or items handed to a command are malformed
├── OutputError                40   a result could not be written; nothing half-written is left
├── ToolchainError             50   TVM, LLVM or the linker failed on what we generated
├── VerificationError          60   the compiled module disagrees with the original
│   └── BudgetError            61   lower precision costs more of the scores than is allowed
├── NetworkError               70   a package registry could not be reached
└── TuningError                75   tuning cannot start or go on: logs, tracker, workers

The number is the exit code of the command line. Code 2 stays click's own usage error; errors of
`runtime` carry their own codes from 80 on.
"""

from __future__ import annotations

from rtcompile.runtime.shorten import short_message

__all__ = [
    "BindingError",
    "BudgetError",
    "ConfigError",
    "DataError",
    "EmbeddingsError",
    "ModelError",
    "NetworkError",
    "OutputError",
    "RtcompileError",
    "ToolchainError",
    "TuningError",
    "UnsupportedError",
    "VerificationError",
]


class RtcompileError(Exception):
    """Any other error of the build side, and the root of these. It says what, where, what to do.

    It is of bounded length, whatever it quotes.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(short_message(message))


class ModelError(RtcompileError):
    """The model file cannot be read or is not consistent."""

    exit_code = 10


class UnsupportedError(ModelError):
    """The model is valid but uses an operator or a form that cannot be compiled."""

    exit_code = 11


class ConfigError(RtcompileError):
    """The feature config is wrong. `problems` holds one line a problem, each with its path."""

    exit_code = 20

    def __init__(self, problems: str | list[str] | tuple[str, ...], source: str = "") -> None:
        self.problems = (problems,) if isinstance(problems, str) else tuple(problems)
        head = f"{source}: " if source else ""
        if len(self.problems) == 1:
            message = head + self.problems[0]
        else:
            listed = "".join(f"\n  - {problem}" for problem in self.problems)
            message = f"{head}{len(self.problems)} problems:{listed}"
        super().__init__(message)


class BindingError(ConfigError):
    """Features and graph inputs do not fit together."""

    exit_code = 21


class EmbeddingsError(RtcompileError):
    """An embedding table is missing, has the wrong shape, or cannot be read."""

    exit_code = 22


class DataError(RtcompileError):
    """Rows, requests or items handed to a command are malformed."""

    exit_code = 30


class OutputError(RtcompileError):
    """A result could not be written. Nothing half-written is left behind."""

    exit_code = 40


class ToolchainError(RtcompileError):
    """TVM, LLVM or the linker failed on generated code."""

    exit_code = 50


class VerificationError(RtcompileError):
    """The compiled module disagrees with the original model."""

    exit_code = 60


class BudgetError(VerificationError):
    """Lower precision costs more of the scores' quality than is allowed."""

    exit_code = 61


class NetworkError(RtcompileError):
    """A package registry could not be reached."""

    exit_code = 70


class TuningError(RtcompileError):
    """Tuning cannot start or go on: its logs, the tracker or the workers."""

    exit_code = 75
