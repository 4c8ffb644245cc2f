"""Operators that our kernels compute, taken out of the graph's generic ones."""
