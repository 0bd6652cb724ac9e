"""The checks of shadow ops and the index of their reproductions, on disk."""
