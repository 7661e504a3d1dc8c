"""`flowctl keys`: this user's signing keys."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from flowctl_core.cli.console import emit, say, say_aside, table
from flowctl_core.cli.options import Output

if TYPE_CHECKING:
    from flowctl_core.models.key import KeyInfo
    from flowctl_core.sign.key_folder import KeyFolder

app = typer.Typer(no_args_is_help=True, help="Make and keep the keys that sign releases.")

Name = Annotated[str, typer.Argument(help="Name of the key.")]
Encrypted = Annotated[
    bool,
    typer.Option("--passphrase/--no-passphrase", help="Encrypt the private key; asked for, or FLOWCTL_KEY_PASSPHRASE."),
]


@app.callback()
def keys() -> None:
    """Make and keep the keys that sign releases."""


@app.command()
def generate(name: Name = "default", passphrase: Encrypted = True, output: Output = None) -> None:
    """Make a key pair (ECDSA P-256)."""
    from flowctl_core.cli.passphrase import new_passphrase

    folder = _folder()
    made = folder.generate(name, new_passphrase(passphrase))
    if _emit(folder, made):
        return
    say(f"made the key {made.name} in {folder.folder}")
    _tell_passphrase(made)
    say(f"  those who verify need its public half:  flowctl keys export {made.name}")


@app.command("list")
def list_keys(output: Output = None) -> None:
    """List the keys, replaced and revoked ones included."""
    folder = _folder()
    found = folder.all()
    if _emit(folder, *found):
        return
    if not found:
        say(f"no keys in {folder.folder}; make one with `flowctl keys generate`")
        return
    table(("Name", "State", "Created", "Hint"), [(k.name, _state(k), f"{k.created:%Y-%m-%d}", k.hint) for k in found])


@app.command()
def export(
    name: Name = "default",
    to: Annotated[Path | None, typer.Option("--to", help="File to write instead of standard output.")] = None,
    output: Output = None,
) -> None:
    """Print the public half (PEM), which those who verify need. The private half never leaves its folder."""
    from flowctl_core.cli.session import absolute
    from flowctl_core.store.files import atomic_write

    folder = _folder()
    key = folder.lives(name)[0]
    if to is not None:
        atomic_write(absolute(to), key.public_key.encode())
    if _emit(folder, key):
        return
    if to is None:
        say(key.public_key.rstrip())
    else:
        say(f"wrote {to}")
    if key.revoked:
        say_aside(f"the key {name} is revoked")


@app.command()
def rotate(name: Name = "default", passphrase: Encrypted = True, output: Output = None) -> None:
    """Replace a key by a new one; what the old one signed stays good."""
    from flowctl_core.cli.passphrase import new_passphrase

    folder = _folder()
    folder.lives(name)
    made = folder.rotate(name, new_passphrase(passphrase))
    if _emit(folder, made):
        return
    say(f"{made.name} is a new key, made in {folder.folder}")
    _tell_passphrase(made)
    say(f"  give its public half to those who verify:  flowctl keys export {made.name}")


@app.command()
def revoke(
    name: Name,
    hint: Annotated[str | None, typer.Option("--hint", help="Of a key that was replaced; else the one in use.")] = None,
    reason: Annotated[str | None, typer.Option("--reason", help="Why, for those who ask later.")] = None,
    output: Output = None,
) -> None:
    """Say that a key must never be believed again, and remove its private half."""
    folder = _folder()
    key = folder.revoke(name, hint, reason)
    if _emit(folder, key):
        return
    say(f"revoked the key {key.name} ({key.hint})")
    say("  take it out of every policy and trust root that names it: this folder tells nobody")


def _folder() -> KeyFolder:
    from flowctl_core.sign.key_folder import KeyFolder

    return KeyFolder()


def _emit(folder: KeyFolder, *found: KeyInfo) -> bool:
    from flowctl_core.models.key import KeyReport

    return emit(KeyReport(folder=str(folder.folder), keys=found).model_dump(mode="json"))


def _state(key: KeyInfo) -> str:
    if key.revoked:
        return f"revoked {key.revoked:%Y-%m-%d}"
    return f"replaced {key.retired:%Y-%m-%d}" if key.retired else "in use"


def _tell_passphrase(key: KeyInfo) -> None:
    if not key.encrypted:
        say("  it is not encrypted: who can read the file can sign")
