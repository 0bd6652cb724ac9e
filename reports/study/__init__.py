"""The page of a power study, its data and its Markdown."""
