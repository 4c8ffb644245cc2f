"""Benchmark workloads: models of published sizes with seeded weights, items and requests."""
