"""The commands of the lab: `align power`."""
