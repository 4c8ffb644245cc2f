"""A stage as a program: its calls, their order, the memory that they share."""
