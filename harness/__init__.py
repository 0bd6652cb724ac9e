"""Tells whether a model ported to a new accelerator trains like it does on the reference."""
