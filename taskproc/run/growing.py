"""Takes what expanding tasks have returned into the run: the graph, the cache, payloads, the ledger, the board."""
from __future__ import annotations

from collections.abc import Callable

from ..plan.graph import Plan, follows_upstream
from ..plan.growth import Growth
from ..runs.outline import add_to_outline
from ..work.texts import write_texts
from . import events
from .chronicle import Chronicle
from .packing import Packer
from .payloads import Payloads, texts_of
from .seats import Seats


class Growing:
    """Grows a run.

    Args:
        plan: The run's plan.
        directory: The run's directory.
        seats: Where its tasks sit.
        packer: Pickles them.
        payloads: Tells workers which texts were read.
        chronicle: Learns what was added.
        caps: The rate limits, by label.
        take: Tells the board of events.
    """

    def __init__(
        self,
        plan: Plan,
        directory: str,
        seats: Seats,
        packer: Packer,
        payloads: Payloads,
        chronicle: Chronicle,
        caps: dict[str, int],
        take: Callable[..., None],
    ) -> None:
        self._plan = plan
        self._graph = plan.graph
        self._directory = directory
        self._seats = seats
        self._packer = packer
        self._payloads = payloads
        self._chronicle = chronicle
        self._caps = caps
        self._take = take

    def expand(self, effect: events.Expand) -> None:
        """Add what some tasks have returned; one for which that cannot be done fails."""
        growth = self._plan.growth
        assert growth is not None, "the graph has tasks that expand"
        first, classes, read = len(self._graph), len(self._graph.classes), self._graph.read
        for node, meta in effect.finish.metas.items():
            if meta.size != 0:  # it lies in a directory, where it is found by its id
                self._seats.note(node)
        failed = growth.grow(dict(effect.finish.metas))
        grown = {node: meta for node, meta in effect.finish.metas.items() if node not in failed}
        new = range(first, len(self._graph))
        stale = [node for node in new if self._plan.reasons[node]]
        self._plan.stale += stale
        if len(self._graph.classes) > classes or self._graph.read is not read:
            self._take_up_classes(growth)
        self._seats.grow(stale)
        open_ones = [*grown, *(node for node in new if node in growth.running)]
        expanded = {node: self._plan.unfinished(growth.returned[node]) for node in open_ones}
        add_to_outline(self._directory, self._plan, self._seats.ids, self._caps, stale, expanded)
        self._chronicle.grown(self._plan.counts(stale), self._plan.counts(set(new).difference(stale)))
        given: list[events.Event] = [events.Impossible(node, error) for node, error in failed.items()]
        if grown:
            needs = {node: self._plan.unfinished(self._graph.upstreams[node]) for node in stale}
            doubtful = [node for node in stale if follows_upstream(self._plan.reasons[node])]
            finish = effect.finish._replace(metas=grown)
            given.append(events.Grown(finish, needs, expanded, doubtful))
        self._take(*given)

    def join(self, effect: events.Join) -> None:
        """Note that all that some tasks have returned is done."""
        assert self._plan.growth is not None, "the graph has tasks that expand"
        self._plan.growth.done(effect.nodes)

    def _take_up_classes(self, growth: Growth) -> None:
        """Hand over classes that are new, and those of which more is known; results by their former sources are good.

        What they were read with besides did not count for the tasks that have run so far.
        """
        renewed, growth.renewed = growth.renewed, {}
        for cls, source in renewed.items():
            known = self._graph.classes[cls]
            known.accept([source, *known.store.accepted_sources(source)])
        self._packer.register(self._graph.classes, self._graph.read.beside)
        number = self._payloads.texts + 1
        write_texts(self._directory, texts_of(self._graph.read), self._graph.read.texts, number)
        self._payloads.texts = number  # not before: other threads make payloads meanwhile
