"""Shadow ops: during a step of the candidate each operation is computed again in float64 on its host."""
