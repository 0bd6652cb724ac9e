"""What a project demands of a gate, in one file that is checked before anything runs.

``policy_values`` are what it says, ``policy_fields`` what may be said, ``policy_file`` reads and checks it,
``gate_decision`` holds results to it.
"""
