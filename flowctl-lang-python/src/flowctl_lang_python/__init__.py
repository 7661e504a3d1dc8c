"""flowctl builder for Python components."""
