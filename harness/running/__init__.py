"""Runs. A case becomes an order, the order a child process under a watchdog, and what it leaves a result."""
