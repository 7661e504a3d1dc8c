"""What the API takes and answers; the OpenAPI document is made of these models."""
