"""Computing early what is known early."""
