"""The wording of pages and of the terminal."""
