"""What is recorded while a model trains, and what is held equal so that two recordings compare."""
