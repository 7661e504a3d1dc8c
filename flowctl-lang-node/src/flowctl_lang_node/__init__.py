"""flowctl builder for Node.js components."""
