"""Results of many builds in one database, and what they say together.

``history_rows`` makes a row of a result, ``history_database`` keeps rows, ``timeline`` puts them in order,
``drift`` tests for trends, ``history_answer`` is what `align history` says of them all.
"""
