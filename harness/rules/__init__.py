"""The rules, one a file: pure functions from values to findings. No torch, no files, no clocks.

``gate.py`` adds them up. First what must be equal for two runs to be comparable (``comparability``), then what is exact
(``finiteness``, ``presence``, ``schedule``), then each precision tier, tightest first (``tier``): five statistical
rules share the false-alarm rate (``budget``), each with a bound from the healthy runs' own spread (``spread``,
``bounded``).

To add a rule: a module with its name as ``RULE`` and a function that answers with ``Finding``s; a statistical one is
called in ``tier.py`` and counted in ``STATISTICAL_RULES``, an exact one in ``gate.py``. Its tests in ``tests/rules``
have a passing, a failing, a NaN and a too-short run, and a fault that it finds.
"""
