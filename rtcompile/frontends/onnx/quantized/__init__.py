"""Models that come quantized, as float graphs and what is known of their weights."""
