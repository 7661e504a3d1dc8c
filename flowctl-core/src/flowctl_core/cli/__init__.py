"""The command line `flowctl`: one module a command group, output and failure in one place each."""
