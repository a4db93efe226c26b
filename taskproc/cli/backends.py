"""`taskproc backends`: what is installed, and the options of each."""
from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from .options import plugin_option
from .place import use_settings_near

if TYPE_CHECKING:
    from ..contract.plugins import Plugins
    from ..plugin import BackendPlugin


@click.command(short_help="List the installed backends, with their options.")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@plugin_option
def backends(names: tuple[str, ...], plugins: tuple[str, ...]) -> int:
    """List the installed backends and profiles, with their options."""
    from ..base.options import nearest

    settings = use_settings_near(None, None)
    found, broken = _load([*settings.plugins, *plugins])
    available = found.available()
    known = [one.name for one in available]
    for name in names:
        if name not in known:
            msg = f"there is no backend {name!r}; {nearest(name, known)}"
            raise click.UsageError(msg)
    for one in available:
        if not names or one.name in names:
            _print_backend(one.name, one.origin, found)
    for name, reason in broken.items():
        click.echo(f"{_title(name)}  {click.style('broken', fg='red')}\n  {reason}\n")
    if settings.profiles and not names:
        click.echo(f"Profiles of {settings.file}:")
        for profile in settings.profiles.values():
            options = ", ".join(f"{key}={value}" for key, value in profile.options.items())
            click.echo(f"  {profile.name}: {profile.backend}" + (f" ({options})" if options else ""))
    return 0


def _load(extra: Sequence[str]) -> tuple[Plugins, dict[str, str]]:
    """Load the modules and files that were asked for, one by one, so that a broken one hides no other."""
    from ..base.errors import BackendError
    from ..contract.plugins import Plugins

    sound, broken = [], {}
    for name in dict.fromkeys(extra):
        try:
            Plugins([name])
            sound.append(name)
        except BackendError as error:
            broken[name] = str(error)
    return Plugins(sound), broken


def _print_backend(name: str, origin: str, plugins: Plugins) -> None:
    from ..base.errors import TaskprocError

    try:
        plugin = plugins.backend(name)
    except TaskprocError as error:
        click.echo(f"{_title(name)}  {click.style('broken', fg='red')}  ({origin})\n  {error}\n")
        return
    click.echo(f"{_title(name)}  {plugin.summary}  ({origin})")
    _print_options(plugin)
    click.echo()


def _print_options(plugin: BackendPlugin) -> None:
    from ..base.options import describe

    rows = [
        (f"{info.name}: {info.type}" + ("" if info.default in (None, "", ()) else f" = {info.default}"), info.help)
        for info in describe(plugin.options)
    ]
    if not rows:
        click.echo("  (no options)" if plugin.route is None else "  (the options of the backends that it routes to)")
        return
    formatter = click.HelpFormatter(width=110)
    formatter.indent()
    formatter.write_dl(rows, col_max=40)
    click.echo(formatter.getvalue().rstrip("\n"))


def _title(name: str) -> str:
    return click.style(name, bold=True)
