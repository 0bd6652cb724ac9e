"""Drawing a street in integers: a camera, a canvas, and the things that stand in a street.

Lengths are centimetres: X to the right of the camera, Y above the ground, Z ahead of it. Nothing here uses floating
point, so the same names give the same bytes on every machine.
"""
