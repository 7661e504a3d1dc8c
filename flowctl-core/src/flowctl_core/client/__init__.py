"""What a registry says of its versions, asked over its API."""
