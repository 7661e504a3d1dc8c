"""flowctl builder for Rust components."""
