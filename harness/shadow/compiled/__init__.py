"""Compiled code beside float64: each graph that a compiler made a kernel of, as one operation."""
