"""Recorded traffic: every event of a pipeline in one file, played to components again, their outputs compared."""
