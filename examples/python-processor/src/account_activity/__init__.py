"""Sums up what each account sent and received, window by window."""
