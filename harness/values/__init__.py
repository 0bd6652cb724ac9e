"""Floor 1: the nouns, as frozen values. No torch, no files, no clocks."""
