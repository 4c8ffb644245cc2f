"""What `rtcompile tune` is given: a file, or a model that `rtcompile bench` knows by name."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

from rtcompile.bench.subjects import is_subject, subjects
from rtcompile.command.console import console
from rtcompile.errors import DataError
from rtcompile.files.scratch_folder import scratch_folder
from rtcompile.tuning.tune import TuneOptions

__all__ = ["named_model"]


@contextlib.contextmanager
def named_model(
    what: str, models: str | None, options: TuneOptions
) -> Iterator[tuple[Path, TuneOptions]]:
    """The model's file, and the options with its features and tables.

    A model that is known by name lies in a folder that is gone afterwards. Raises DataError.
    """
    if Path(what).is_file() or not is_subject(what):
        if models is not None:
            raise DataError("--models chooses among the models of zoo")
        yield Path(what), options
        return
    if options.features is not None or options.embeddings is not None:
        raise DataError(f"{what}: has its own features and tables")
    names = [] if models is None else models.split(",")
    with scratch_folder() as folder:
        with console.status(f"{what}: starting") as status:
            found = list(islice(subjects(what, names, folder, status.update), 2))
        if len(found) != 1:
            raise DataError(f"{what}: has several models: choose one with --models")
        given = found[0].options
        features, embeddings = (
            None if path is None else Path(path) for path in (given.features, given.embeddings)
        )
        yield found[0].model, replace(options, features=features, embeddings=embeddings)
