"""The build host: the release way of `workflow`, cut into phases that may run in different processes and machines.

A registry runs each phase in a sandbox; all that one phase knows of another stands in the workspace.
"""
