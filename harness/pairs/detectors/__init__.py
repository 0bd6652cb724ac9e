"""A detector for each thing that a person would see in two curves; it says nothing where that isn't there."""
