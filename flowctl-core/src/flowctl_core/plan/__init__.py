"""Turns what the user asked and what component.yaml declares into a PlanRequest."""
