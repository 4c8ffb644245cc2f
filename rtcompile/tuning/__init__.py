"""Tuning: find the fastest form of each kernel on the hardware that it will run on."""
