"""Measures taskproc beside other systems and beside what the machine can do at most: `python -m benchmarks --help`."""
