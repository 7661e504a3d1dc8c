"""Spec files: read with positions and limits, check, write, describe as JSON Schema.

`load` turns text into models, `validate` looks at what a spec says about its source tree, `dump` writes it
back, `scaffold` writes a new one, `schema` describes them for editors.
"""
