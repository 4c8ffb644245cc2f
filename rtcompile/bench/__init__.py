"""Measurements beside peers, as ratios from one run."""
