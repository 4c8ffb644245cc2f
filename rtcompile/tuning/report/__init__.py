"""The page at the end of a tuning run: what was tried, what it gained, what failed, and where."""
