"""What tests the gate rather than a port: an emulated accelerator, its faults, and studies of what is seen."""
