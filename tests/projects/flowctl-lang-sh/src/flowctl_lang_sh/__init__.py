"""A flowctl builder for components written as shell scripts."""
