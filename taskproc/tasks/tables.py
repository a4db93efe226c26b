"""Tables in JSON, TOML and YAML files."""
from __future__ import annotations

from ..base.errors import InputError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def table_in(path: str, name: str, key: str) -> Any:
    """Read one table, or one value, of a JSON, TOML or YAML file.

    Raises:
        InputError: The file is none, or has no such table.
    """
    with open(path, "rb") as file:
        data = file.read()
    try:
        found = _parsed(name.lower(), data)
    except ImportError:
        msg = f"file {name} is YAML, which is read by PyYAML; install that (pip install pyyaml), or use TOML or JSON"
        raise InputError(msg) from None
    except Exception as error:  # what YAML raises derives from nothing else
        msg = f"file {name} cannot be read: {' '.join(str(error).split())} ({path})"
        raise InputError(msg) from None
    for part in [key] if isinstance(found, dict) and key in found else key.split("."):
        known: dict[Any, Any] = found if isinstance(found, dict) else {}
        if isinstance(found, list):
            known = dict(enumerate(found))
        at = int(part) if isinstance(found, list) and part.isdecimal() else part
        if at not in known:
            has = f"; it has {', '.join(map(str, list(known)[:10]))}" if known else ""
            msg = f"file {name} has no {key!r}{has} ({path})"
            raise InputError(msg)
        found = known[at]
    return found


def _parsed(name: str, data: bytes) -> Any:
    if name.endswith(".json"):
        import json

        return json.loads(data)
    if name.endswith(".toml"):
        import sys

        if sys.version_info >= (3, 11):
            import tomllib
        else:
            import tomli as tomllib
        return tomllib.loads(data.decode())
    import yaml  # type: ignore[import-untyped]  # it has no types of its own

    return yaml.safe_load(data)
