"""Finds plugins, checks them, and calls exactly one builder at a time, in this process or in a child."""
