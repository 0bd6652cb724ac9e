"""The page of one run, the index of many, and the writer of both."""
