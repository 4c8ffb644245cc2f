"""Calls of kernels: what they take along, how far they go, in which precision."""
