"""Components, bundles, their versions and images: what the database says of them, and how that changes."""
