"""What a graph says of its values: when they are known, which rows they read, their ranges."""
