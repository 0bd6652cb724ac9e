"""The language of pages and terminal: English as it is written in the code, Chinese by a table."""

from harness.language.speech import LANGUAGES, language, say, speak

__all__ = ["LANGUAGES", "language", "say", "speak"]
