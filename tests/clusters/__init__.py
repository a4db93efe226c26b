"""Real schedulers for the tests, started by hand under a directory of their own."""
