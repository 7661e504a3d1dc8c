"""Wrappers around every builder."""
