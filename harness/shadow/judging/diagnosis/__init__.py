"""Diagnosis: what the calls that came out wrong have in common, and those that came out right have not.

A kernel is chosen by what a call is given: sizes, strides, layout, format, options. So of an operation's calls those
that one kernel served share attributes that the others lack, and the attribute is what its developer looks for.

- ``attributes``: what can be said of a call, in the words of its operation, plainest first;
- ``separation``: of all attributes and pairs of them the shortest that tells wrong from right, or none where chance
  would find one as good;
- ``cause``: the wrong tensors of a run, as few causes, each one sentence with its counts.

All of it is pure: it reads shadow checks and the calls' signatures, and knows no torch.
"""
