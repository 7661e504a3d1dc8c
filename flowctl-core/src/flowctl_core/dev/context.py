"""What all components of a running pipeline share."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from flowctl_core.dev.edges import DeadLetters
from flowctl_core.dev.environment import Handed, Ports, Secrets, hand_over
from flowctl_core.dev.events import DevEvent, Reporter
from flowctl_core.dev.launch import Launcher
from flowctl_core.dev.loop import Loop
from flowctl_core.dev.pipeline import DevComponent, DevPipeline
from flowctl_core.dev.ports import PortBook
from flowctl_core.dev.secrets_file import Mask

if TYPE_CHECKING:
    from flowctl_core.dev.control_plane.server import ControlPlane
    from flowctl_core.dev.edges import Outlet
    from flowctl_core.dev.image_build import ImageBuilder
    from flowctl_core.dev.recording.rerun import Rerun


@dataclass(frozen=True)
class DevOptions:
    """What the user asked of `flowctl dev`."""

    once: bool = False
    """True: nothing is watched, and the command ends when the pipeline has."""
    replay: int = 0
    """Events that a restarted component gets again."""
    window: int = 1000
    """Events that a component gets again after a crash."""
    grace_s: float = 10.0
    """Seconds that a component has to work off what it was given once its input ends; then SIGTERM."""
    term_s: float = 2.0
    """Seconds from SIGTERM to SIGKILL."""
    offline: bool = False
    """Builds use no network."""
    tell_status: bool = False
    """Tell every second where all components stand, if that changed."""


@dataclass
class Context:
    """What all components of a running pipeline share."""

    pipeline: DevPipeline
    options: DevOptions
    loop: Loop
    launcher: Launcher
    reporter: Reporter
    secrets: Secrets
    dead_letters: DeadLetters
    images: ImageBuilder | None = None
    """Makes images of sources; None: they run as processes."""
    listeners: tuple[Callable[[str], Outlet], ...] = ()
    """Each makes, for a component's id, what gets that component's events beside the edges."""
    rerun: Rerun | None = None
    """Recorded events that stand in for components; None: everything runs."""
    control: ControlPlane | None = None
    """Where components register; None until it serves, or when it cannot."""
    environ: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    ports: PortBook = field(default_factory=PortBook)
    mask: Mask = field(default_factory=Mask)
    stopping: bool = False

    def hand_over(self, component: DevComponent, ports: Ports, replica: int) -> dict[str, str]:
        """The environment of one copy; its secrets are kept out of what is shown. Raises SpecError."""
        handed: Handed = hand_over(
            component,
            environ=self.environ,
            secrets=self.secrets,
            ports=ports,
            endpoint=self.control.address if self.control is not None else None,
            replica=replica,
        )
        self.mask.add(handed.secret_values)
        return handed.variables

    def tell(self, event: DevEvent) -> None:
        """Show an event, without secrets; from any thread."""
        shown = {
            name: masked
            for name in ("text", "output", "hint")
            if (text := getattr(event, name)) is not None and (masked := self.mask(text)) != text
        }
        self.reporter.tell(event.model_copy(update=shown) if shown else event)
