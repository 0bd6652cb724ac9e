"""The nouns, as frozen values. No torch, no files, no clocks."""
