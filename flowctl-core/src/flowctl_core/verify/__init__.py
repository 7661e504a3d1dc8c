"""Verification: what a signature proves, and whether the client's own policy allows it. Fails closed."""
