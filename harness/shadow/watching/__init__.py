"""Which of a step's operations are seen, where in the model they were called, and which are left out."""
