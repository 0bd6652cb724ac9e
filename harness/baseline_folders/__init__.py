"""Where baselines lie, what each holds, and how one travels from the machine that recorded it."""
