"""Feature types and custom operators, one a file."""
