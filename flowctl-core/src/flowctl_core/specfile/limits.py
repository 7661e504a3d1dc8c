"""How much a spec file may ask of the reader. Real files have below 1,000 nodes and 15 levels."""

MAX_BYTES = 1024 * 1024
"""Size of the file."""
MAX_DEPTH = 64
"""Levels of nesting, aliases expanded."""
MAX_NODES = 50_000
"""Scalars, lists and mappings, aliases expanded: a few short lines of nested aliases can mean billions."""
MAX_ALIASES = 1_000
"""Uses of aliases (`*name`)."""
MAX_PROBLEMS = 200
"""Problems shown; more are counted."""
