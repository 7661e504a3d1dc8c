"""Loads the configuration and remembers where each value came from."""
