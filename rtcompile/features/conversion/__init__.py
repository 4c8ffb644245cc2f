"""What the conversion of every feature type shares."""
