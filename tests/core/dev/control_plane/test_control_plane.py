"""The control plane as components of the public ecosystem see it: a gRPC client, and bytes of their protocol."""

from __future__ import annotations

import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import pytest

from flowctl_core.dev.control_plane import flowctl_v1_pb2 as pb
from flowctl_core.dev.control_plane import registrations as limits
from flowctl_core.dev.control_plane.health import STALE_AFTER, Health
from flowctl_core.dev.control_plane.registrations import Registrations
from flowctl_core.dev.control_plane.server import ControlPlane, Neighbours

Call = Callable[..., bytes]

FACTS = {
    "ComponentInfo": "1 id 9, 2 name 9, 3 description 9, 4 version 9, 5 type 14, 6 input_event_types 9*, "
    "7 output_event_types 9*, 8 endpoint 9, 9 metadata 11*",
    "RegisterRequest": "1 component 11, 2 component_id 9",
    "RegisterResponse": "1 service_id 9, 2 assigned_topics 9*, 3 connection_info 11*",
    "UnregisterRequest": "1 service_id 9",
    "HeartbeatRequest": "1 service_id 9, 2 status 14, 3 metrics 11*",
    "DiscoveryRequest": "1 type 14, 2 event_types 9*, 3 metadata_filters 11*",
    "DiscoveryResponse": "1 components 11*",
    "ComponentStatusRequest": "1 service_id 9",
    "ComponentStatusResponse": "1 component 11, 2 status 14, 3 last_heartbeat 11, 4 metrics 11*, 5 registered_at 11",
    "ListComponentsRequest": "1 type_filter 14, 2 include_unhealthy 8",
    "ListComponentsResponse": "1 components 11*",
}
"""number, name and protobuf type (* repeated) in github.com/withObsrvr/flow-proto proto/flowctl/v1, read 2026-11-29."""


@pytest.fixture
def changes() -> list[tuple[str, Health]]:
    return []


@pytest.fixture
def plane(changes: list[tuple[str, Health]]) -> Iterator[ControlPlane]:
    plane = ControlPlane(
        {"filter": Neighbours(("source",), ("sink",))}, on_change=lambda *change: changes.append(change)
    )
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture
def call(plane: ControlPlane) -> Iterator[Call]:
    """Calls a method with raw bytes, as any client would send them."""
    with grpc.insecure_channel(plane.address) as channel:
        yield lambda method, data: channel.unary_unary(f"/flowctl.v1.ControlPlaneService/{method}")(data, timeout=20)


def register(call: Call, name: str, **info: object) -> pb.RegisterResponse:
    request = pb.RegisterRequest(component=pb.ComponentInfo(name=name, **info), component_id=name)  # type: ignore[arg-type]
    return pb.RegisterResponse.FromString(call("RegisterComponent", request.SerializeToString()))


def test_names_and_numbers_are_those_of_the_public_protocol() -> None:
    ours = {
        name: ", ".join(f"{f.number} {f.name} {f.type}{'*' * f.is_repeated}" for f in message.fields)
        for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    }
    assert ours == FACTS
    assert pb.DESCRIPTOR.package == "flowctl.v1"
    assert [v.name for v in pb.DESCRIPTOR.enum_types_by_name["ComponentType"].values] == [
        f"COMPONENT_TYPE_{kind}" for kind in ("UNSPECIFIED", "SOURCE", "PROCESSOR", "CONSUMER")
    ]
    assert [v.name for v in pb.DESCRIPTOR.enum_types_by_name["HealthStatus"].values] == [
        f"HEALTH_STATUS_{kind}" for kind in ("UNKNOWN", "STARTING", "HEALTHY", "DEGRADED", "UNHEALTHY", "STOPPING")
    ]
    service = pb.DESCRIPTOR.services_by_name["ControlPlaneService"]
    assert {(m.name, m.input_type.name, m.output_type.full_name) for m in service.methods} == {
        ("RegisterComponent", "RegisterRequest", "flowctl.v1.RegisterResponse"),
        ("UnregisterComponent", "UnregisterRequest", "google.protobuf.Empty"),
        ("DiscoverComponents", "DiscoveryRequest", "flowctl.v1.DiscoveryResponse"),
        ("Heartbeat", "HeartbeatRequest", "google.protobuf.Empty"),
        ("GetComponentStatus", "ComponentStatusRequest", "flowctl.v1.ComponentStatusResponse"),
        ("ListComponents", "ListComponentsRequest", "flowctl.v1.ListComponentsResponse"),
    }


def test_the_generated_messages_are_those_of_our_file() -> None:
    text = re.sub("//.*", "", Path(pb.__file__).with_name("flowctl_v1.proto").read_text())
    written = {
        name: re.findall(r"(\w+) = (\d+);", body) for name, body in re.findall(r"message (\w+) \{(.*?)\n\}", text, re.S)
    }
    generated = {
        name: [(field.name, str(field.number)) for field in message.fields]
        for name, message in pb.DESCRIPTOR.message_types_by_name.items()
    }
    assert written == generated


def test_a_component_registers_with_bytes_of_the_wire(call: Call, plane: ControlPlane) -> None:
    info = b"\x0a\x01x\x12\x04name\x28\x01\x3a\x05a.b.1\x42\x0e127.0.0.1:5005"
    answer = call("RegisterComponent", b"\x0a" + bytes([len(info)]) + info + b"\x12\x06source")
    assert b"\x0a\x06source\x12\x05a.b.1" in answer
    assert plane.address.encode() in answer
    assert plane.health("source") is Health.HEALTHY


def test_neighbours_learn_where_each_other_serve(call: Call, plane: ControlPlane) -> None:
    register(call, "source", endpoint="127.0.0.1:5001")
    answer = register(call, "filter", endpoint="127.0.0.1:5002")
    assert dict(answer.connection_info) == {
        "control_plane_endpoint": plane.address,
        "upstream.source": "127.0.0.1:5001",
    }


def test_components_are_found_by_kind_event_type_and_metadata(call: Call) -> None:
    register(call, "source", type=pb.COMPONENT_TYPE_SOURCE, output_event_types=["ledger"], metadata={"net": "test"})
    register(call, "filter", type=pb.COMPONENT_TYPE_PROCESSOR, input_event_types=["ledger"], metadata={"net": "main"})

    def found(**query: object) -> list[str]:
        request = pb.DiscoveryRequest(**query)  # type: ignore[arg-type]
        answer = pb.DiscoveryResponse.FromString(call("DiscoverComponents", request.SerializeToString()))
        return [component.name for component in answer.components]

    assert found() == ["source", "filter"]
    assert found(type=pb.COMPONENT_TYPE_SOURCE) == ["source"]
    assert found(event_types=["other", "ledger"]) == ["source", "filter"]
    assert found(event_types=["other"]) == []
    assert found(metadata_filters={"net": "main"}) == ["filter"]


def test_heartbeats_tell_how_a_component_is(call: Call, plane: ControlPlane, changes: list[tuple[str, Health]]) -> None:
    register(call, "filter")
    beat = pb.HeartbeatRequest(service_id="filter", status=pb.HEALTH_STATUS_DEGRADED, metrics={"events": "7"})
    call("Heartbeat", beat.SerializeToString())
    call("Heartbeat", beat.SerializeToString())
    answer = call("GetComponentStatus", pb.ComponentStatusRequest(service_id="filter").SerializeToString())
    status = pb.ComponentStatusResponse.FromString(answer)
    assert (status.status, dict(status.metrics)) == (pb.HEALTH_STATUS_DEGRADED, {"events": "7"})
    assert status.last_heartbeat.ToNanoseconds() >= status.registered_at.ToNanoseconds() > 1.7e18
    assert pb.ListComponentsResponse.FromString(call("ListComponents", b"")).components == []
    everything = pb.ListComponentsRequest(include_unhealthy=True).SerializeToString()
    assert len(pb.ListComponentsResponse.FromString(call("ListComponents", everything)).components) == 1
    call("UnregisterComponent", pb.UnregisterRequest(service_id="filter").SerializeToString())
    assert plane.health("filter") is None
    assert [health for _, health in changes] == [Health.HEALTHY, Health.DEGRADED, Health.STOPPING]


def test_a_missing_heartbeat_shows() -> None:
    now = [0.0]
    registrations = Registrations(clock=lambda: now[0])
    registrations.register(pb.RegisterRequest(component_id="filter"))
    now[0] += STALE_AFTER
    assert registrations.health("filter") is Health.HEALTHY
    now[0] += 1
    assert registrations.health("filter") is Health.STALE
    assert registrations.status("filter").status == pb.HEALTH_STATUS_UNHEALTHY
    registrations.heartbeat(pb.HeartbeatRequest(service_id="filter"))
    assert registrations.health("filter") is Health.HEALTHY


@pytest.mark.parametrize(
    ("method", "data", "code"),
    [
        ("RegisterComponent", b"", grpc.StatusCode.INVALID_ARGUMENT),
        ("Heartbeat", b"\x0a\x05ghost", grpc.StatusCode.NOT_FOUND),
        ("GetComponentStatus", b"", grpc.StatusCode.NOT_FOUND),
        ("RegisterComponent", b"\x0a\xff", grpc.StatusCode.INTERNAL),
        ("RegisterComponent", b"\x12" + b"\xff\xff\x7f" + b"x" * 2**21, grpc.StatusCode.RESOURCE_EXHAUSTED),
        ("CreatePipelineRun", b"", grpc.StatusCode.UNIMPLEMENTED),
    ],
)
def test_bad_requests_are_refused_and_do_no_harm(call: Call, method: str, data: bytes, code: grpc.StatusCode) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        call(method, data)
    assert caught.value.code() is code
    assert register(call, "filter").service_id == "filter"


def test_there_is_an_end_to_registrations(call: Call, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "REGISTRATION_LIMIT", 2)
    for name in "abab":
        register(call, name)
    with pytest.raises(grpc.RpcError) as caught:
        register(call, "c")
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_it_is_on_loopback_only_and_its_port_is_free_afterwards() -> None:
    plane = ControlPlane({})
    host, port = plane.start().rsplit(":", 1)
    assert host == "127.0.0.1"
    plane.stop()
    with socket.socket() as again:
        again.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        again.bind((host, int(port)))


def test_importing_it_loads_no_grpc() -> None:
    code = "import sys, flowctl_core.dev.control_plane.server as s; s.ControlPlane({}); print('grpc' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
