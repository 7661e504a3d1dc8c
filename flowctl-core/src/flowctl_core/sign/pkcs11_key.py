"""A key on a token (smart card, HSM) behind PKCS#11, named by a URI (RFC 7512).

`pkcs11:token=LABEL;object=LABEL;id=%01?module-path=/usr/lib/…/module.so`. The token's PIN is what is asked for, or
FLOWCTL_KEY_PASSPHRASE: a URI that holds one is refused, since everybody on the machine can read a command's words.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote, unquote_to_bytes

from flowctl_core.errors import SigningError
from flowctl_core.sign.key_pair import PASSPHRASE, hint_of, pem_of
from flowctl_core.sign.signing_key import SigningKey

_KNOWN = {"token", "serial", "object", "id", "type", "module-path"}
_EXAMPLE = "pkcs11:token=LABEL;object=LABEL?module-path=/path/of/module.so"
_INSTALL = "pip install 'flowctl-core[pkcs11]'"


@dataclass(frozen=True)
class TokenKey:
    """What a PKCS#11 URI names."""

    module: str
    """Path of the token's shared library."""
    token: str | None = None
    """Label of the token."""
    serial: bytes | None = None
    """Of the token."""
    label: str | None = None
    """CKA_LABEL of the key."""
    key_id: bytes | None = None
    """CKA_ID of the key."""


def parse_uri(uri: str) -> TokenKey:
    """Read a PKCS#11 URI. Raises SigningError; a PIN in it is never repeated."""
    path, _, query = uri.removeprefix("pkcs11:").partition("?")
    words = [*filter(None, path.split(";")), *filter(None, query.split("&"))]
    said = {name: value for name, _, value in (word.partition("=") for word in words)}
    if "pin-value" in said or "pin-source" in said:
        raise SigningError("a PIN does not belong in a key's URI", hint=f"Leave it out and set {PASSPHRASE}.")
    if unknown := sorted(said.keys() - _KNOWN):
        raise SigningError(f"the key's URI says {unknown[0]!r}, which is not known", hint=f"As in {_EXAMPLE}")
    if not said.get("module-path"):
        raise SigningError("the key's URI names no module-path, the token's library", hint=f"As in {_EXAMPLE}")
    if "object" not in said and "id" not in said:
        raise SigningError("the key's URI names neither object nor id", hint=f"As in {_EXAMPLE}")
    return TokenKey(
        module=unquote(said["module-path"]),
        token=unquote(said["token"]) if "token" in said else None,
        serial=unquote_to_bytes(said["serial"]) if "serial" in said else None,
        label=unquote(said["object"]) if "object" in said else None,
        key_id=unquote_to_bytes(said["id"]) if "id" in said else None,
    )


@contextmanager
def open_token_key(uri: str, pin: str | None) -> Iterator[SigningKey]:
    """The key behind a PKCS#11 URI, while its token's session is open.

    Raises SigningError. A wrong PIN is tried once: most tokens lock themselves after three.
    """
    named = parse_uri(uri)
    try:
        import pkcs11
        from pkcs11.exceptions import PKCS11Error
    except ImportError:
        raise SigningError("keys on tokens need the package python-pkcs11", hint=_INSTALL) from None
    if pin is None:
        raise SigningError("the token's PIN is needed", hint=f"Set {PASSPHRASE}, or run where it can be asked for.")
    try:
        tokens = list(pkcs11.lib(named.module).get_tokens(token_label=named.token, token_serial=named.serial))
        token = _only(tokens, "token", f"token={named.token}")
        with token.open(user_pin=pin) as session:
            private = _find(session, pkcs11.ObjectClass.PRIVATE_KEY, named)
            public = _find(session, pkcs11.ObjectClass.PUBLIC_KEY, named)
            pem = _pem(public)
            yield SigningKey(hint_of(pem), lambda digest: _sign(private, digest), pem)
    except PKCS11Error as error:
        raise SigningError(f"the token refuses: {_told(error)}", hint=_HINTS.get(type(error).__name__)) from None
    except (OSError, RuntimeError) as error:
        raise SigningError(f"the module {named.module} cannot be used: {error}", hint=f"As in {_EXAMPLE}") from None


_HINTS = {
    "PinIncorrect": f"The PIN is read from {PASSPHRASE}; it was tried once.",
    "PinLocked": "The token locked itself after too many wrong PINs; its vendor's tool unlocks it.",
}


def _find(session: Any, kind: Any, named: TokenKey) -> Any:
    from pkcs11 import Attribute, KeyType

    wanted: dict[Any, Any] = {Attribute.CLASS: kind, Attribute.KEY_TYPE: KeyType.EC}
    if named.label is not None:
        wanted[Attribute.LABEL] = named.label
    if named.key_id is not None:
        wanted[Attribute.ID] = named.key_id
    return _only(list(session.get_objects(wanted)), f"{kind.name.lower().replace('_', ' ')} (EC)", "its label and id")


def _only(found: list[Any], what: str, how: str) -> Any:
    if len(found) != 1:
        number = "no" if not found else str(len(found))
        raise SigningError(f"there is {number} {what} by {how}", hint="`pkcs11-tool --list-objects` shows them.")
    return found[0]


def _pem(public: Any) -> str:
    from pkcs11.util.ec import encode_ec_public_key

    return pem_of(encode_ec_public_key(public))


def _sign(private: Any, digest: bytes) -> bytes:
    from pkcs11 import Mechanism
    from pkcs11.util.ec import encode_ecdsa_signature

    return bytes(encode_ecdsa_signature(private.sign(digest, mechanism=Mechanism.ECDSA)))


def _told(error: Exception) -> str:
    return str(error) or type(error).__name__
