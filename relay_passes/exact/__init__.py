"""What must hold for all data: IEEE's values, indices within tables, no division by zero."""
