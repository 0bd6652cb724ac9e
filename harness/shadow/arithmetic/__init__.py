"""One operation computed again in float64 on the host, and how far the device is off."""
