"""How a call's arguments find their parameters, and how a wrong call is told."""
from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from types import FunctionType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_SORTED = "_taskproc_sorted"


class Binder:
    """Binds the arguments of a call to a function's parameters, without the first one (`self`).

    Args:
        function: Usually a class's `__init__`.
        owner: The name to use in errors.

    Example:
        >>> class Choose:
        ...     def __init__(self, n, k=2, *rest, **more): ...
        >>> binder = Binder(Choose.__init__, "Choose")
        >>> binder.bind((6, 3, 4), {"x": 1})
        {'n': 6, 'k': 3, 'rest': (4,), 'more': {'x': 1}}
        >>> binder.bind((), {})
        Traceback (most recent call last):
        TypeError: Choose() is missing the argument 'n'
        >>> binder.call({"n": 6, "k": 3, "rest": (4,), "more": {"x": 1}})
        ((6, 3, 4), {'x': 1})
    """

    __slots__ = ("_call", "_owner", "_shape")

    def __init__(self, function: Callable[..., Any], owner: str) -> None:
        self._owner = owner
        self._shape = _Shape.of(function)
        self._call = self._shape.compile()

    @property
    def names(self) -> list[str]:
        """The names of all parameters, in the order of the signature."""
        return self._shape.names

    @property
    def defaults(self) -> dict[str, Any]:
        """The defaults of those parameters that have one."""
        return self._shape.defaults

    def bind(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """Give every parameter its value, defaults included, in the order of the signature.

        Raises:
            TypeError: The function cannot be called in this way.
        """
        try:
            return self._call(*args, **kwargs)
        except TypeError:
            msg = f"{self._owner}() {self._shape.complaint(args, kwargs)}"
            raise TypeError(msg) from None

    def call(self, bound: Mapping[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        """Give the positional and the named arguments that bind to these values."""
        shape = self._shape
        rest = bound[shape.rest] if shape.rest else ()
        more = bound[shape.more] if shape.more else {}
        named = {name: bound[name] for name in shape.keyword}
        return (*(bound[name] for name in shape.positional), *rest), {**named, **more}


class _Shape:
    """The parameters of a function, without the first one."""

    def __init__(
        self,
        positional: list[str],
        positional_only: int,
        keyword: list[str],
        rest: str | None,
        more: str | None,
        defaults: dict[str, Any],
    ) -> None:
        self.positional = positional
        self.positional_only = positional_only
        self.keyword = keyword
        self.rest = rest
        self.more = more
        self.defaults = defaults
        self.names = [*positional, *filter(None, [rest]), *keyword, *filter(None, [more])]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> _Shape:
        """Read the parameters from a plain function's code, and through `inspect` from anything else."""
        if not isinstance(function, FunctionType) or "__wrapped__" in function.__dict__:
            return cls._inspected(function)
        code = function.__code__
        names = code.co_varnames
        count, keyword_count = code.co_argcount, code.co_kwonlyargcount
        after = count + keyword_count
        has_rest = bool(code.co_flags & 0x04)
        positional = list(names[:count])
        given = function.__defaults__ or ()
        defaults = dict(zip(positional[count - len(given) :], given, strict=True))
        defaults.update(function.__kwdefaults__ or {})
        return cls(
            positional[1:],
            max(code.co_posonlyargcount - 1, 0),
            list(names[count:after]),
            names[after] if has_rest else None,
            names[after + has_rest] if code.co_flags & 0x08 else None,
            defaults,
        )

    @classmethod
    def _inspected(cls, function: Callable[..., Any]) -> _Shape:
        from inspect import Parameter

        if function is object.__init__:
            return cls([], 0, [], None, None, {})
        parameters = list(_signature(function).parameters.values())
        if parameters and parameters[0].kind in (Parameter.POSITIONAL_ONLY, Parameter.POSITIONAL_OR_KEYWORD):
            del parameters[0]

        def named(*kinds: Any) -> list[str]:
            return [p.name for p in parameters if p.kind in kinds]

        positional_only = named(Parameter.POSITIONAL_ONLY)
        return cls(
            positional_only + named(Parameter.POSITIONAL_OR_KEYWORD),
            len(positional_only),
            named(Parameter.KEYWORD_ONLY),
            next(iter(named(Parameter.VAR_POSITIONAL)), None),
            next(iter(named(Parameter.VAR_KEYWORD)), None),
            {p.name: p.default for p in parameters if p.default is not Parameter.empty},
        )

    def compile(self) -> Callable[..., dict[str, Any]]:
        """Make a function of this signature that returns its parameters: Python itself binds fastest."""
        parts = [f"{name}=None" if name in self.defaults else name for name in self.positional]
        if self.positional_only:
            parts.insert(self.positional_only, "/")
        if self.rest or self.keyword:
            parts.append(f"*{self.rest or ''}")
        parts += [f"{name}=None" if name in self.defaults else name for name in self.keyword]
        if self.more:
            parts.append(f"**{self.more}")
        # Names that `**more` takes have no order, neither in the identity nor for the task.
        values = {name: f"{_SORTED}({name})" if name == self.more else name for name in self.names}
        result = ", ".join(f"{name!r}: {value}" for name, value in values.items())
        namespace: dict[str, Any] = {_SORTED: lambda more: dict(sorted(more.items()))}
        exec(f"def bind({', '.join(parts)}): return {{{result}}}", namespace)
        bind: FunctionType = namespace["bind"]
        bind.__defaults__ = tuple(self.defaults[name] for name in self.positional if name in self.defaults)
        bind.__kwdefaults__ = {name: self.defaults[name] for name in self.keyword if name in self.defaults}
        return bind

    def complaint(self, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> str:
        """Say why a call with these arguments is wrong."""
        if len(args) > len(self.positional) and self.rest is None:
            return f"takes {self._capacity()}, but {len(args)} {'was' if len(args) == 1 else 'were'} given"
        by_position = self.positional[: len(args)]
        by_name = self.positional[self.positional_only :] + self.keyword
        for name in kwargs:
            if name in by_position and name in by_name:
                return f"got the argument {name!r} twice, by position and by name"
            if name not in by_name and self.more is None:
                return f"has no argument {name!r}{_suggestion(name, by_name)}"
        missing = [
            name
            for name in self.positional[len(args) :] + self.keyword
            if name not in self.defaults and (name not in kwargs or name not in by_name)
        ]
        return f"is missing the argument{'s' if len(missing) > 1 else ''} {_enumerated(missing)}"

    def _capacity(self) -> str:
        most = len(self.positional)
        least = sum(name not in self.defaults for name in self.positional)
        by_position = " by position" if self.keyword else ""
        if not most:
            return f"no arguments{by_position}"
        number = str(most) if least == most else f"{least} to {most}"
        return f"{number} argument{'' if most == 1 else 's'}{by_position}"


def _signature(function: Callable[..., Any]) -> Any:
    """Give a function's signature, without evaluating annotations that name what only type checkers see."""
    from inspect import signature

    if sys.version_info >= (3, 14):
        from annotationlib import Format

        return signature(function, annotation_format=Format.FORWARDREF)
    return signature(function)


def _suggestion(name: str, known: list[str]) -> str:
    import difflib

    close = difflib.get_close_matches(name, known, n=1)
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; it has {_enumerated(known)}" if known else "; it takes none by name"


def _enumerated(names: list[str]) -> str:
    quoted = [repr(name) for name in names]
    return " and ".join(filter(None, [", ".join(quoted[:-1]), quoted[-1]]))
