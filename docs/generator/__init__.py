"""The functions that make the generated parts of the documentation; `docs/generate.py` is the command."""
