"""Bytes by their SHA-256: files embedded, S3 beyond."""
