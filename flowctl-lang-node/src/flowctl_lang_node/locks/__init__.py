"""What lockfiles resolved: one module for each package manager's format."""
