"""Signing: keys, signers, and what a release's attestations say. Nothing here is in reach of a build."""
