"""Shadow ops: during a step of the candidate each operation is computed again in float64 on its host.

``shadow_hook.py`` enters ``watching/mode.py`` around the chosen iterations; the mode sees every operation, finds the
module that called it, and hands it to ``arithmetic/``, which measures how far each result is from float64's and by how
much a healthy kernel's roundings would move it. The checks go to disk as the iteration ends (``files/``). ``judging/``
holds each against the error model of the precision tier and makes findings; what is wrong is kept as a program that
runs alone (``reproducing/``). ``by_program/`` checks what no single operation is: the optimizer's step, the schedule,
gathered gradients. ``forced/`` runs operations again with inputs that are hard for a kernel.

Values are in ``evidence/``. ``judging/`` and below know no torch.
"""
