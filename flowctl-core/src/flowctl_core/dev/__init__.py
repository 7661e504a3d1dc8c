"""Local development: a pipeline of locally built components that reloads what changed. Only `flowctl dev` uses it."""
