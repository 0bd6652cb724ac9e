"""Cases on many machines: what travels there and back, and Ray, which is an extra and imported nowhere else."""
