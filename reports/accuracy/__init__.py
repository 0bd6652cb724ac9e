"""What is shown of an evaluation: the benchmark's table, the data, and a page with the worst images."""
