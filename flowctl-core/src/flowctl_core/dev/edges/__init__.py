"""What carries events along the edges of a pipeline: lines of JSON from one process's stdout to others' stdin."""

from flowctl_core.dev.edges.batch import Batch
from flowctl_core.dev.edges.dead_letters import DeadLetters
from flowctl_core.dev.edges.delivery import Delivery
from flowctl_core.dev.edges.edge import Edge, EdgeCounters, Limits
from flowctl_core.dev.edges.feed import Feed, Returned
from flowctl_core.dev.edges.tap import Outlet, Tap

__all__ = ["Batch", "DeadLetters", "Delivery", "Edge", "EdgeCounters", "Feed", "Limits", "Outlet", "Returned", "Tap"]
