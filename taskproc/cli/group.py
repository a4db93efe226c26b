"""The command as a whole: what its first word means, and how it ends."""
from __future__ import annotations

import platform
import sys
import traceback
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import click
from click.shell_completion import CompletionItem

from ..base.errors import OptionError, SettingsError, TaskprocError
from ..base.version import __version__
from .taskfile import TaskFileError
from .terminal import kept_terminal, print_any_text

DONE, FAILED, BAD_USAGE, INTERRUPTED = 0, 1, 2, 130

_HELP = """Run the tasks of a Python file, and keep their results.

`taskproc file.py` is short for `taskproc run file.py`. It runs the class `Main` of the file with all that it needs,
as far as their results are not in the cache yet.
"""
_EPILOG = """Exit status: 0 done, 1 a task failed, 2 bad usage, 130 interrupted."""


class CommandGroup(click.Group):
    """A group with a command that need not be named.

    Args:
        name: The command's name.
        default: The command that is meant when the first word is none.
        commands: All commands.
    """

    def __init__(self, name: str, *, default: click.Command, commands: Sequence[click.Command]) -> None:
        super().__init__(
            name,
            commands=list(commands),
            help=_HELP,
            epilog=_EPILOG,
            no_args_is_help=True,
            subcommand_metavar="TASKFILE [OPTIONS] | COMMAND",
            options_metavar="",
            context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
        )
        click.version_option(__version__, message="taskproc %(version)s")(self)
        self._default = default

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("-h", "--help", "--version"):
            args = [self._default.name or "", *args]
        return super().parse_args(ctx, args)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        own = [record for param in self.get_params(ctx) if (record := param.get_help_record(ctx))]
        options = [param for param in self._default.params if isinstance(param, click.Option)]
        lent = [record for option in options if (record := option.get_help_record(ctx))]
        with formatter.section("Options"):
            formatter.write_dl([*lent, *own])
        self.format_commands(ctx, formatter)

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Complete the first word: a command, an option of the default command, or a file."""
        found = super().shell_complete(ctx, incomplete)
        if incomplete.startswith("-"):
            return found + self._default.shell_complete(ctx, incomplete)
        return [CompletionItem(incomplete, type="file"), *found]

    def main(
        self,
        args: Sequence[str] | None = None,
        prog_name: str | None = None,
        complete_var: str | None = None,
        standalone_mode: bool = True,
        **extra: Any,
    ) -> Any:
        """Run, and end the process with the exit status; without `standalone_mode`, as click does."""
        run = partial(super().main, args, prog_name, complete_var, standalone_mode=False, **extra)
        if not standalone_mode:
            return run()
        print_any_text()
        with kept_terminal():
            code = _exit_status(run)
        sys.exit(code)


def _exit_status(call: Callable[[], Any]) -> int:
    """Make the call, say what went wrong, and give the exit status."""
    try:
        return int(call() or DONE)
    except (click.Abort, KeyboardInterrupt):
        click.echo("Interrupted.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except TaskFileError as error:
        click.echo(str(error), err=True)
        return FAILED
    except (SettingsError, OptionError) as error:
        click.echo(f"Error: {error}", err=True)
        return BAD_USAGE
    except TaskprocError as error:
        click.echo(f"Error: {error}", err=True)
        return FAILED
    except Exception:
        click.echo(traceback.format_exc() + _please_report(), err=True)
        return FAILED


def _please_report() -> str:
    return (
        "This is a bug in taskproc, not in your tasks. Please report it with the traceback above and these lines:\n"
        f"  {_command_line()}\n"
        f"  taskproc {__version__}, Python {platform.python_version()}, click {_version('click')}\n"
        f"  {platform.platform()}"
    )


def _command_line() -> str:
    import shlex

    return shlex.join(["taskproc", *sys.argv[1:]])


def _version(distribution: str) -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return "unknown"
