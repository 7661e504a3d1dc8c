"""Chooses the one builder for a source tree."""
