"""Outgoing webhooks of a namespace."""

from __future__ import annotations

from flowctl_registry.api.routing import Call, Endpoint
from flowctl_registry.builds import hooks
from flowctl_registry.database.engine import reading, writing
from flowctl_registry.models.hook import HookList, HookMessages, HookRequest, NewHook


def listed(call: Call) -> HookList:
    """Those of a namespace."""
    with reading(call.services.engine) as connection:
        return HookList(hooks=tuple(hooks.listed(connection, call.path["ns"])))


def add(call: Call) -> NewHook:
    """Tell one more."""
    asked: HookRequest = call.body
    settings, actor = call.services.settings.hooks, call.principal.shown
    return writing(
        call.services.engine, lambda c: hooks.add(c, settings, call.path["ns"], asked, actor, call.request_id)
    )


def remove(call: Call) -> None:
    """Tell it no more."""
    namespace, hook, actor = call.path["ns"], call.path["hook"], call.principal.shown
    writing(call.services.engine, lambda c: hooks.remove(c, namespace, hook, actor, call.request_id))


def messages(call: Call) -> HookMessages:
    """What was and will be sent."""
    with reading(call.services.engine) as connection:
        return HookMessages(messages=tuple(hooks.messages(connection, call.path["ns"], call.path["hook"])))


_ALL = "/v1/namespaces/{ns}/hooks"
ENDPOINTS = (
    Endpoint("GET", _ALL, listed, "manage", "Outgoing webhooks", "builds", answer=HookList, errors=(404,)),
    Endpoint(
        "POST", _ALL, add, "manage", "Send webhooks to a further address", "builds",
        body=HookRequest, answer=NewHook, status=201, errors=(404, 409, 413),
    ),
    Endpoint(
        "DELETE", _ALL + "/{hook}", remove, "manage", "Send it no more webhooks", "builds", status=204, errors=(404,),
    ),
    Endpoint(
        "GET", _ALL + "/{hook}/messages", messages, "manage", "What was sent to a webhook", "builds",
        answer=HookMessages, errors=(404,),
    ),
)  # fmt: skip
