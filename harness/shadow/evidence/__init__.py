"""What shadow ops say, as frozen values: checks, rows, coverage, reproductions. Knows nothing of torch."""
