"""Finds the tools that a plan asks for."""
