"""What the main function of a stage is called with.

    STAGE(begin, end, constants, workspace, status, inputs..., outputs...)

It computes the rows [begin, end). A network takes a table of its inputs in the place of these, and
one of its outputs. `rtcompile/codegen/entry/stage.py` emits it, `runtime/stages/stage.py` calls it;
`status.py` has the status.
"""

from __future__ import annotations

from rtcompile.runtime.abi.layout import RUNTIME, Layout, pointer, structs, word

__all__ = ["PortEntry", "PortTable"]


class PortEntry(Layout, owner=RUNTIME):
    """An input or output."""

    ADDRESS = pointer()
    ROW_BYTES = word()  # 0 where all rows share it


class PortTable(Layout):
    """All inputs, or all outputs."""

    PORTS = structs(PortEntry, None)
