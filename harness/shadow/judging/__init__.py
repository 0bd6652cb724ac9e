"""From the checks of shadow ops to findings and to a verdict: pure, and without torch."""
