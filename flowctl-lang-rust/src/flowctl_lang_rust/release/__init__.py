"""Releases: which target for which platform, with which linker, and the same bytes each time."""
