"""Metadata: tables, transactions, migrations."""
