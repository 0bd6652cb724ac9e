"""The same operations run again with inputs that are hard for a kernel."""
