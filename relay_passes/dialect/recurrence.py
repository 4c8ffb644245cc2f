"""How a recurrent layer stands in a graph: one call, between products that the passes know.

    p = add(matmul(x, W), b)                                      the inputs' share of every gate
    call_dps_packed("rtc.recurrence.CELL.FORM...", (p, R, r, given...)) -> (y, last[, memory])

x is [n, t, i], W a constant [i, g * h], p [n, t, g * h] for the g gates of a cell of h units. R is
a constant [h, g * h], r one of h values, the bias of GRU's candidate inside the reset (zeros
elsewhere). y is [n, t, h], every state; last and memory [n, h] are the state and LSTM's cell at
the end. Gates stand in ONNX's order: z r h of a GRU, i o f c of an LSTM.

    gru         h' = tanh(p_h + r * (h R_h + r_h))         reset behind the product, torch's
    gru_first   h' = tanh(p_h + (r * h) R_h)               reset before it, ONNX's default
    lstm, rnn_tanh, rnn_relu

The forms, in this order: `reverse` (from the last step to the first), `initial` (the first state is
given, [n, h], and LSTM's cell behind it), `lengths` (given, int32 [n]: behind a row's length the
state stays, and y is zero).
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["GATES", "RECURRENCE", "RecurrenceForm"]

RECURRENCE = "rtc.recurrence"

# Gates a cell.
GATES = {"gru": 3, "gru_first": 3, "lstm": 4, "rnn_tanh": 1, "rnn_relu": 1}


@dataclass(frozen=True)
class RecurrenceForm:
    """What the name of a call says."""

    cell: str
    reverse: bool = False
    initial: bool = False
    lengths: bool = False

    @property
    def name(self) -> str:
        """The call's name."""
        forms = {"reverse": self.reverse, "initial": self.initial, "lengths": self.lengths}
        return ".".join([RECURRENCE, self.cell, *(form for form, on in forms.items() if on)])

    @staticmethod
    def of(name: str) -> RecurrenceForm:
        """The form that `name` says."""
        cell, *forms = name.removeprefix(f"{RECURRENCE}.").split(".")
        return RecurrenceForm(cell, **dict.fromkeys(forms, True))
