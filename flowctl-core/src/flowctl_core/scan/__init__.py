"""What a component is made of (SBOM), and what is known against it (OSV)."""
