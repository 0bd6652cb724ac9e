"""The gate's own power. Faults and healthy ports on the emulated device, through the rules, counted.

Only the modules that a worker imports know torch: a study is planned, and judged, without it.
"""
