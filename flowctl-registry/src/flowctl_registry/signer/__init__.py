"""The process that has the keys. Nothing else reads them."""
