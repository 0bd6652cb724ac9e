"""What `align efficiency` measures: the cost of the attention heads beside what they replace."""
