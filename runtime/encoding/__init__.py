"""From Python values, numpy arrays and Arrow columns to encoded columns."""
