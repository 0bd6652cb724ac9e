"""Which devices are here, what they call themselves, and how mmengine learns of the one it doesn't know."""
