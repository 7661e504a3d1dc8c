"""Remote builds: from a repository to a published version, behind a durable queue."""
