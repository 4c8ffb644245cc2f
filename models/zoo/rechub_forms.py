"""The forms in which torch-rechub's models are exported to ONNX.

Most are exported as they are. NARM and DIEN pack their sequences, for which torch sorts the batch
by length; DIEN also takes the rows with a history out of the batch. Both would make a row's place
depend on the others. NARM's own forward is exported with the sort left out (the exported GRU takes
lengths in any order); DIEN as a module that calls its own layers on every row and picks afterwards.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any
from unittest import mock

import torch
from torch.nn.utils import rnn

__all__ = ["exportable"]


class Positional(torch.nn.Module):  # type: ignore[misc]
    """A model of a dict of inputs, as one of inputs by place. Its result is the scores alone."""

    def __init__(self, model: torch.nn.Module) -> None:
        super().__init__()
        self.model = model
        self._names: tuple[str, ...] = ()
        self.eval()

    def reads(self, sample: Mapping[str, Any]) -> tuple[str, ...]:
        """The inputs that the model reads, found by running it; from now on, the arguments."""
        given = _Noting({name: torch.from_numpy(array) for name, array in sample.items()})
        with torch.no_grad():
            self.model(given)
        self._names = tuple(name for name in sample if name in given.read)
        return self._names

    def forward(self, *inputs: torch.Tensor) -> Any:
        """The scores of the rows of `inputs`."""
        return self.model(dict(zip(self._names, inputs, strict=True)))


class _Noting(dict[str, Any]):
    """A dict that notes which keys are read."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        super().__init__(values)
        self.read: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.read.add(key)
        return super().__getitem__(key)


class DienOfEveryRow(torch.nn.Module):  # type: ignore[misc]
    """DIEN's scores by its own layers. It asks nothing of the batch as a whole.

    A GRU reads forward, so what follows the end of a history changes nothing before it; outputs
    there are set to zero, as the library has them. A row without a history has an interest of zero.
    """

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model

    def forward(self, x: Any) -> torch.Tensor:
        """The scores, without the loss that the library adds for training."""
        model = self.model
        context = model.embedding(x, model.features, squeeze_dim=True)
        history = model.embedding(x, model.history_features)
        target = model.embedding(x, model.target_features)
        interests = []
        for i, feature in enumerate(model.history_features):
            mask = model.embedding.input_mask(x, feature).squeeze(1).bool()
            extracted, _ = model.interest_extractor_layers[i](history[:, i])
            extracted = extracted * mask.unsqueeze(-1)
            _, evolved = model.interest_evolving_layers[i](extracted, target[:, i], mask)
            some = mask.any(dim=1, keepdim=True)
            interests.append(torch.where(some, evolved, torch.zeros_like(evolved)))
        parts = [*interests, target.flatten(start_dim=1), context]
        return torch.sigmoid(model.mlp(torch.cat(parts, dim=1)).squeeze(1))


@contextmanager
def exportable(model: torch.nn.Module) -> Iterator[Positional]:
    """The form of `model` to export, inside this context."""
    with torch.no_grad():
        if type(model).__name__ == "DIEN":
            yield Positional(DienOfEveryRow(model))
        elif type(model).__name__ == "NARM":
            unsorted = partial(_packed_as_sorted, rnn.pack_padded_sequence)
            with mock.patch.object(rnn, "pack_padded_sequence", unsorted):
                yield Positional(model)
        else:
            fast = torch.backends.mha.get_fastpath_enabled()
            torch.backends.mha.set_fastpath_enabled(False)
            try:
                yield Positional(model)
            finally:
                torch.backends.mha.set_fastpath_enabled(fast)


def _packed_as_sorted(pack: Any, *given: Any, enforce_sorted: bool = True, **named: Any) -> Any:
    """`pack` of sequences that are taken for sorted by length, as those of the sample are."""
    return pack(*given, enforce_sorted=True, **named)
