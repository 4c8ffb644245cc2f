"""Kernel emitters, one family a file."""
