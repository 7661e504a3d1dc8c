"""The source digest and the local cache.

`source_digest` says whether a tree changed, `content` keeps files under their digest, `cache` finds earlier
results, `lock` lets one process at a time work in a component's folder, `files` writes atomically.
"""
