"""Floor 2: the rules, one a file. Pure functions from values to findings; no torch, no files, no clocks."""
