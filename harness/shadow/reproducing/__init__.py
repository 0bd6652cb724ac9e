"""What came out wrong, kept with a program that makes it again: its frame, and what it computes by kind of check."""
