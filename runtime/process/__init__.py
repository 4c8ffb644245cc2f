"""What the process gives: Python's objects and its lock, threads, functions of libraries."""
