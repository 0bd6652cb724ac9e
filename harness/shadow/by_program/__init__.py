"""Checks by program, of what no operation can show: update, schedule, loss, inputs, gathered gradients, own dropout."""
