"""Bundles: sets of components that are checked, built, tested, published and installed together (bundle.yaml)."""
