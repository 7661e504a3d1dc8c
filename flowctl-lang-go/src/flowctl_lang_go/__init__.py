"""Teaches flowctl to build, test and clean Go components."""
