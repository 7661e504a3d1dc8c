"""From artifacts to what is handed on: checked binaries and container images."""
