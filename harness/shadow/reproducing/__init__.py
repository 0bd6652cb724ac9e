"""What came out wrong, kept with a program that reproduces it: its frame, and what it computes by kind of check."""
