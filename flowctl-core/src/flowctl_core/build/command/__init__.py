"""Core's own builder: runs the build command that component.yaml gives, in any language."""
