"""From a repository to a build in the registry: checks, the push of commit and tag, the request."""
