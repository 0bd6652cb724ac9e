"""Floor 3: which devices are here, what they call themselves, and how mmengine learns of the one it doesn't know."""
