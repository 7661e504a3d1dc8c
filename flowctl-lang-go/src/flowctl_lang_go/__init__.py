"""flowctl builder for Go components."""
