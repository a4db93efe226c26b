"""Between the board and what carries out its answers: events go in, and effects out, in order."""
from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from .board import Board
from .events import Effect, Event


class Conductor:
    """Tells the board of events, and has what it answers carried out.

    What an effect leads to waits for the effects before it: the board has noted all events that were told together
    before anything follows from the first, and nothing nests however long the chain of consequences.

    Args:
        board: The run's state.
    """

    def __init__(self, board: Board) -> None:
        self.board = board
        self._handlers: dict[type, Callable[[Any], object]] = {}
        self._effects: deque[Effect] = deque()
        self._busy = False

    def on(self, kind: type, handler: Callable[[Any], object]) -> None:
        """Have effects of a kind carried out by this function."""
        self._handlers[kind] = handler

    def take(self, *given: Event) -> None:
        """Tell the board of what has happened, and carry out what it answers.

        What raises leaves the rest to the next call.
        """
        for event in given:
            self._effects.extend(self.board.take(event))
        if self._busy:
            return
        self._busy = True
        try:
            while self._effects:
                effect = self._effects.popleft()
                self._handlers[type(effect)](effect)
        finally:
            self._busy = False
