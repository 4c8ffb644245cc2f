"""Whose config it is: what keys that it leaves out mean.

`pyfg` is the generator of TorchEasyRec as its users measured it (version 1.0.6). `easyrec` is what
EasyRec's documents of its feature generation say, and what its TensorFlow columns do with the
texts. `docs/fg_config.md` has both, key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["DIALECTS", "Dialect"]


@dataclass(frozen=True)
class Dialect:
    """Defaults. `reserves_codes`: of a vocabulary, for the default value and unlisted words."""

    name: str
    need_prefix: bool  # of the types that have texts of columns, or of maps
    need_discrete: bool  # of a lookup_feature and a match_feature
    need_key: bool  # of a lookup_feature
    types_outputs: bool  # whether `value_type` is the output's, not the column's
    cuts_numbers: bool  # whether a number in an id_feature or combo_feature loses its fraction
    reserves_codes: bool
    reads_pipeline: bool  # whether sizes may be in EasyRec's pipeline.config
    refused: Mapping[str, str]  # feature type -> why it is not supported


_OVERLAP = (
    "not supported in the dialect easyrec, whose overlaps are texts with other scales; write "
    '"dialect": "pyfg" if its numbers are meant'
)

DIALECTS = {
    "pyfg": Dialect(
        name="pyfg",
        need_prefix=False,
        need_discrete=False,
        need_key=False,
        types_outputs=True,
        cuts_numbers=False,
        reserves_codes=True,
        reads_pipeline=False,
        refused={},
    ),
    "easyrec": Dialect(
        name="easyrec",
        need_prefix=True,
        need_discrete=True,
        need_key=True,
        types_outputs=False,
        cuts_numbers=True,
        reserves_codes=False,
        reads_pipeline=True,
        refused={"overlap_feature": _OVERLAP},
    ),
}
