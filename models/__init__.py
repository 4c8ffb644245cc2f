"""Small reference models and the benchmark workloads."""
