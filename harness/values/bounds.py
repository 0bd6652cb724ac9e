"""Types of fields that come from outside, with their bounds: read by msgspec where a value is decoded from a file.

They are plain ``int``, ``float`` and ``str`` to everything else: a value that is constructed in our own code isn't
checked by them. A field of another type is annotated in the same way: ``Annotated[int, msgspec.Meta(ge=1)]``.
"""

from __future__ import annotations

import sys
from typing import Annotated

import msgspec

__all__ = ["AtLeastOne", "Chance", "Count", "Finite", "NotNegative", "PlainName"]

Count = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
"""A number of things, or the number of one, from 0. 2⁵³ is where a float64 stops holding whole numbers."""

Finite = Annotated[float, msgspec.Meta(ge=-sys.float_info.max, le=sys.float_info.max)]
"""A float that is neither NaN nor infinite. A plain ``float`` field admits these too."""

NotNegative = Annotated[float, msgspec.Meta(ge=0.0)]
"""A float that is at least 0 and may be infinite; NaN is refused."""

AtLeastOne = Annotated[float, msgspec.Meta(ge=1.0)]
"""A float that is at least 1 and may be infinite; NaN is refused."""

Chance = Annotated[float, msgspec.Meta(gt=0.0, lt=1.0)]
"""A probability that is neither certain nor impossible; NaN is refused."""

PlainName = Annotated[str, msgspec.Meta(pattern=r"\A[A-Za-z0-9](?:[A-Za-z0-9._-]{0,198}[A-Za-z0-9_-])?\Z")]
"""What can be a file's or folder's name and can't leave its folder, on any system."""
