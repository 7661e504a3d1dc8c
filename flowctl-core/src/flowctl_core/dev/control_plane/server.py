"""Serves the control plane by gRPC on a free port of the loopback interface."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from flowctl_core.dev.control_plane.health import Health
from flowctl_core.errors import FlowctlError, PipelineError

if TYPE_CHECKING:
    import grpc

    from flowctl_core.dev.control_plane.registrations import Registrations

_MESSAGE_LIMIT = 2**20
_SERVICE = "flowctl.v1.ControlPlaneService"


class ControlPlaneError(PipelineError):
    """The control plane cannot be served."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """The components before and after one in the graph, by their ids."""

    upstream: Sequence[str] = ()
    downstream: Sequence[str] = ()


class ControlPlane:
    """One a pipeline: `start`, hand `address` to components as FLOWCTL_ENDPOINT, ask for their health, `stop`."""

    def __init__(
        self, neighbours: Mapping[str, Neighbours], *, on_change: Callable[[str, Health], None] | None = None
    ) -> None:
        """`on_change` is called in a thread of the server with a component's id and its new health."""
        self.address = ""
        self._neighbours = neighbours
        self._on_change = on_change
        self._registrations: Registrations | None = None
        self._server: grpc.Server | None = None

    def start(self) -> str:
        """Serve; returns host:port. Raises ControlPlaneError. Loads gRPC (about 0.1 s)."""
        os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its warnings would fall into the screen
        from concurrent.futures import ThreadPoolExecutor

        import grpc

        from flowctl_core.dev.control_plane.registrations import Registrations

        self._registrations = Registrations(on_change=self._on_change)
        options = [("grpc.so_reuseport", 0), ("grpc.max_receive_message_length", _MESSAGE_LIMIT)]
        server = grpc.server(ThreadPoolExecutor(4, thread_name_prefix="control plane"), options=options)
        server.add_generic_rpc_handlers((_handlers(self._registrations, self._connection_info),))
        try:
            port = server.add_insecure_port("127.0.0.1:0")
        except RuntimeError as error:
            raise ControlPlaneError(f"the control plane found no port on 127.0.0.1: {error}") from error
        server.start()
        self._server = server
        self.address = f"127.0.0.1:{port}"
        return self.address

    def stop(self) -> None:
        """Serve no longer; the port is free when this returns. Calls under way get half a second."""
        server, self._server = self._server, None
        if server is not None:
            server.stop(0.5).wait()

    def health(self, component: str) -> Health | None:
        """How the component says it is; None when it has not registered."""
        return None if self._registrations is None else self._registrations.health(component)

    def forget(self, component: str) -> None:
        """The component's process is gone."""
        if self._registrations is not None:
            self._registrations.unregister(component)

    def _connection_info(self, component: str) -> dict[str, str]:
        """Where the control plane is, and where its neighbours serve as far as they are there yet."""
        info = {"control_plane_endpoint": self.address}
        near = self._neighbours.get(component, Neighbours())
        for side, ids in (("upstream", near.upstream), ("downstream", near.downstream)):
            for each in ids:
                endpoint = self._registrations.endpoint(each) if self._registrations is not None else None
                if endpoint is not None:
                    info[f"{side}.{each}"] = endpoint
        return info


def _handlers(registrations: Registrations, connection_info: Callable[[str], dict[str, str]]) -> Any:
    import grpc
    from google.protobuf.empty_pb2 import Empty

    from flowctl_core.dev.control_plane import flowctl_v1_pb2 as pb
    from flowctl_core.dev.control_plane import registrations as failures

    codes = {
        failures.UnknownServiceError: grpc.StatusCode.NOT_FOUND,
        failures.TooManyServicesError: grpc.StatusCode.RESOURCE_EXHAUSTED,
        failures.NamelessServiceError: grpc.StatusCode.INVALID_ARGUMENT,
    }

    def register(request: pb.RegisterRequest) -> pb.RegisterResponse:
        service = registrations.register(request)
        topics = [] if request.component.type == pb.COMPONENT_TYPE_CONSUMER else request.component.output_event_types
        return pb.RegisterResponse(service_id=service, assigned_topics=topics, connection_info=connection_info(service))

    def unregister(request: pb.UnregisterRequest) -> Empty:
        registrations.unregister(request.service_id)
        return Empty()

    def heartbeat(request: pb.HeartbeatRequest) -> Empty:
        registrations.heartbeat(request)
        return Empty()

    def discover(request: pb.DiscoveryRequest) -> pb.DiscoveryResponse:
        found = registrations.find(request.type, set(request.event_types), request.metadata_filters)
        return pb.DiscoveryResponse(components=found)

    def status(request: pb.ComponentStatusRequest) -> pb.ComponentStatusResponse:
        return registrations.status(request.service_id)

    def everything(request: pb.ListComponentsRequest) -> pb.ListComponentsResponse:
        found = registrations.statuses(request.type_filter, with_unhealthy=request.include_unhealthy)
        return pb.ListComponentsResponse(components=found)

    def answering(call: Callable[[Any], Any], request_type: Any) -> Any:
        def answer(request: Any, context: grpc.ServicerContext) -> Any:
            try:
                return call(request)
            except FlowctlError as error:
                context.abort(codes.get(type(error), grpc.StatusCode.INTERNAL), error.message)

        return grpc.unary_unary_rpc_method_handler(
            answer,
            request_deserializer=request_type.FromString,
            response_serializer=lambda message: message.SerializeToString(),
        )

    methods: dict[str, tuple[Callable[[Any], Any], Any]] = {
        "RegisterComponent": (register, pb.RegisterRequest),
        "UnregisterComponent": (unregister, pb.UnregisterRequest),
        "Heartbeat": (heartbeat, pb.HeartbeatRequest),
        "DiscoverComponents": (discover, pb.DiscoveryRequest),
        "GetComponentStatus": (status, pb.ComponentStatusRequest),
        "ListComponents": (everything, pb.ListComponentsRequest),
    }
    return grpc.method_handlers_generic_handler(
        _SERVICE, {name: answering(call, request_type) for name, (call, request_type) in methods.items()}
    )
