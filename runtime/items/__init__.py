"""The item table: its ids, its columns, what is computed of an item."""
