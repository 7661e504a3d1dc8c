"""Who asks, and what they may do: tokens, namespaces, OIDC publishers, limits, quotas, the audit log."""
