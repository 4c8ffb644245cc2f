"""From optimized graphs to a shared library: TIR emitters and the ahead-of-time lowering."""
