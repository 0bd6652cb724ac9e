"""Floor 3: runs and baselines on disk. Text that diffs, floats that round-trip, nothing half-written read as whole."""
