"""Runs commands on this machine, each in a process group of its own."""
