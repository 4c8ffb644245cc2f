"""Every error that the runtime raises on purpose.

InferenceError                  80
├── ArtifactError              81   the file cannot be read, is damaged, or is of another version
│   └── TargetError            82   the artifact is for a machine that this one is not
└── RequestError               83   a request, an item or an input array is malformed
    ├── UnknownIdError         84   an id is outside the table it looks up
    └── UnknownItemError       85   an item is not in the item table

The number is the exit code of the command line.
"""

from __future__ import annotations

from rtcompile.runtime.shorten import short_message

__all__ = [
    "ArtifactError",
    "InferenceError",
    "RequestError",
    "TargetError",
    "UnknownIdError",
    "UnknownItemError",
]


class InferenceError(Exception):
    """Any other error of the runtime, and the root of these. Its message has a bounded length."""

    exit_code = 80

    def __init__(self, message: str = "") -> None:
        super().__init__(short_message(message))


class ArtifactError(InferenceError):
    """The artifact cannot be read, is damaged, or has a version this runtime does not know."""

    exit_code = 81


class TargetError(ArtifactError):
    """The artifact was compiled for a machine that this one is not."""

    exit_code = 82


class RequestError(InferenceError):
    """A request, an item or an input array is malformed.

    `without_row`: the message without the row in it, for who tells that otherwise.
    """

    exit_code = 83

    def __init__(self, message: str = "", without_row: str = "") -> None:
        super().__init__(message)
        self.without_row = short_message(without_row or message)


class UnknownIdError(RequestError):
    """An integer id lies outside the embedding table that it looks up."""

    exit_code = 84


class UnknownItemError(RequestError):
    """A request ranks an item that is not in the item table."""

    exit_code = 85
