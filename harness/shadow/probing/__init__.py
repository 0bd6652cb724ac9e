"""A wrong call as an experiment: asked of the device again, changed in one thing at a time, and made smaller.

- ``lone_call``: a call with its tensors on the host, and what a device makes of it beside float64's;
- ``sizes``: which axes of its tensors have to have one length, and the call with other lengths;
- ``variations``: the call with one thing changed: a size, an option, a layout, a format;
- ``probes``: which of these are wrong, as further checks for the diagnosis;
- ``delta_debugging``, ``shrinking``: the smallest call that is still wrong.
"""
