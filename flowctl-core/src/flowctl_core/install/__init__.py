"""Verified versions of components on this machine: resolve, fetch, verify, place, link."""
