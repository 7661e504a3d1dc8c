"""Signers: subjects in, Sigstore bundles out. They are plugins, run apart from builds, and import late."""
