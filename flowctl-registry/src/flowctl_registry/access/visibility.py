"""Which namespaces a caller may know of: for lists and search."""

from __future__ import annotations

from sqlalchemy import Select, false, or_, select

from flowctl_registry.access.principal import Principal
from flowctl_registry.database.tables import members, namespaces
from flowctl_registry.services import Services


def visible_namespaces(services: Services, principal: Principal) -> Select[tuple[str]]:
    """Names of the namespaces, as a subquery: `.where(components.c.namespace.in_(visible_namespaces(...)))`."""
    names = select(namespaces.c.name)
    public = ~namespaces.c.private
    if "read" not in principal.actions:
        return names.where(public if services.settings.access.anonymous_read else false())
    if principal.grants is not None:
        return names.where(or_(public, namespaces.c.name.in_([space for space, only in principal.grants if not only])))
    if principal.component is not None:  # what is private there is seen by that component's own address only
        return names.where(public)
    if principal.is_admin:
        return names
    own = select(members.c.namespace).where(members.c.user == principal.user)
    if principal.namespace is not None:
        own = own.where(members.c.namespace == principal.namespace)
    return names.where(or_(public, namespaces.c.name.in_(own)))
