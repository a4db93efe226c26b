"""The graphs that every system runs, and their right answers.

A node's value is its number plus the values of the nodes that it needs, modulo a prime: next to no work, and a wrong
order or a forgotten input changes the answer.
"""
from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isqrt

MODULUS = 1_000_003
SHAPES = ("wide", "chain", "grid")


def combine(node: int, inputs: Iterable[int]) -> int:
    """Compute a node's value: the body of every task.

    >>> combine(3, [4, 5])
    12
    """
    return (node + sum(inputs)) % MODULUS


@dataclass(frozen=True)
class Work:
    """One graph: `wide` (independent nodes and their sum), `chain`, or `grid` (a node needs those above and left).

    >>> Work("chain", 3).upstreams(2), Work("wide", 3).upstreams(3), Work("grid", 9).upstreams(4)
    ([1], [0, 1, 2], [1, 3])
    """

    shape: str
    size: int

    @property
    def side(self) -> int:
        """The number of nodes in a row of the grid."""
        return isqrt(self.size)

    @property
    def nodes(self) -> int:
        """The number of tasks; each stands behind those that it needs, and the last is the one asked for."""
        return {"wide": self.size + 1, "chain": self.size, "grid": self.side**2}[self.shape]

    @property
    def middle(self) -> int:
        """The node that `one-changed` clears: one that others need."""
        if self.shape == "grid":
            return self.side * (self.side // 2) + self.side // 2
        return self.size // 2

    def upstreams(self, node: int) -> Sequence[int]:
        """Give the nodes that one needs."""
        if self.shape == "wide":
            return range(self.size) if node == self.size else []
        if self.shape == "chain":
            return [node - 1] if node else []
        above = [node - self.side] if node >= self.side else []
        left = [node - 1] if node % self.side else []
        return above + left

    def waves(self) -> Iterable[Sequence[int]]:
        """Give the nodes in groups, each of which needs only those before it; for systems without graphs."""
        if self.shape == "wide":
            return [range(self.size), [self.size]]
        if self.shape == "chain":
            return ([node] for node in range(self.size))
        side = self.side
        return (
            [row * side + at - row for row in range(max(0, at - side + 1), min(at + 1, side))]
            for at in range(2 * side - 1)
        )

    def values(self) -> list[int]:
        """Compute the right value of each node."""
        values: list[int] = []
        for node in range(self.nodes):
            values.append(combine(node, [values[up] for up in self.upstreams(node)]))
        return values

    def answer(self) -> int:
        """Compute the right answer."""
        return self.values()[-1]
