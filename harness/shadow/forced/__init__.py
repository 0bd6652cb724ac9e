"""The same operations made again with inputs that are hard for a kernel."""
