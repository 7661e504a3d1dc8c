"""Builds: the cache key, the placing of outputs, core's own `command` builder."""
