"""Lower precision: which layers take it, by which ranges, and what it does to the scores."""
