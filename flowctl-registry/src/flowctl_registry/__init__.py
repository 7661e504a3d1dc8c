"""The flowctl registry service."""
