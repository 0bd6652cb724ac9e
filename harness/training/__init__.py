"""What is asked of a training, and its kinds: mmengine's Runner, a user's own loop, a loop watched in place."""
