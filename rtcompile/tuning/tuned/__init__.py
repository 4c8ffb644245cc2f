"""What tuning found: records, their logs, the kernels that they are of."""
