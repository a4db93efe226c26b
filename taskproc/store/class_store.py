"""Everything that the cache holds of one task class, whether as a tree of directories or packed."""
from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from ..base.errors import CacheError, ResultNotFoundError
from ..base.lean import blake2b
from ..base.private import make_directories
from . import files
from .files import DamagedResultError
from .ids import IdTable
from .locks import locked
from .meta import Meta
from .packed import PackedRows, Row

_FORMER = "formerly.json"
_LOGGER = logging.getLogger(__name__)


class ClassStore:
    """One class's directory: `sources/`, `id_table/`, `results/{id}/`, `packed.sqlite3`.

    Small results may lie packed, all others lie in instance directories; a task has its result in one of the two.
    Nothing is made on disk before something is to be kept there.

    Args:
        directory: `{cache}/taskproc/{module}.{qualname}`.
    """

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.ids = IdTable(directory)
        self.packed = PackedRows(directory)

    def instance_directory(self, id: int) -> str:
        """Give the directory of the task with this id."""
        return f"{self.directory}/results/{id}"

    def peek(self, digests: Sequence[bytes]) -> list[Meta | None]:
        """Read the provenance of each task's result; None for one that has none, or a damaged one."""
        found = self.packed.peek(digests) if self.packed.exists() else {}
        ids = self.ids.lookup([digest for digest in digests if digest not in found])
        return [found.get(digest) or self._peek_tree(digest, ids.get(digest)) for digest in digests]

    def peek_instance(self, directory: str, digest: bytes) -> Meta | None:
        """Read the provenance of the result in one instance directory."""
        try:
            meta = files.peek(f"{directory}/{files.RESULT}")
        except files.FormerResultError:
            files.tell_of_former()
            return None
        except DamagedResultError as error:
            _LOGGER.warning("%s; it is computed again", error)
            return None
        return meta if meta is not None and meta.identity == digest else None

    def peek_tree(self, digest: bytes) -> Meta | None:
        """Read the provenance of the result in a task's directory, which a packed one hides."""
        self.ids.look_up_all()  # as many may be asked for, one by one
        id = self.ids.known(digest)
        return self._peek_tree(digest, id if id >= 0 else None)

    def peek_earlier(self, digest: bytes) -> Meta | None:
        """Read the provenance of the result that was set aside for an attempt which left none.

        The task was looked up before.
        """
        id = self.ids.known(digest)
        return self.peek_instance(f"{self.instance_directory(id)}/{files.EARLIER}", digest) if id >= 0 else None

    def load(self, digest: bytes, whose: str) -> Any:
        """Read a result.

        Raises:
            ResultNotFoundError: There is none.
            DamagedResultError: It is damaged; it counts as missing.
            ResultUnreadableError: It cannot be unpickled here.
        """
        packed = self.packed.values([digest])
        if packed:
            return files.unpickle(packed[digest], whose, os.path.dirname(self.directory))
        ids = self.ids.lookup([digest])
        if ids:
            try:
                path = f"{self.instance_directory(ids[digest])}/{files.RESULT}"
                meta = files.peek(path)
                if meta is not None and meta.identity == digest:
                    return files.load(path, whose)
            except FileNotFoundError:
                pass
        msg = f"{whose} has no result in {self.directory}; run it first"
        raise ResultNotFoundError(msg)

    def load_notes(self, digest: bytes) -> dict[str, Any]:
        """Read a result's notes; nothing if it has none, or they cannot be read."""
        notes = self.packed.notes(digest)
        for id in self.ids.lookup([digest]).values() if notes is None else ():
            notes = files.load_notes(f"{self.instance_directory(id)}/{files.RESULT}")
        return notes if isinstance(notes, dict) else {}

    def load_all_notes(self, metas: Sequence[Meta]) -> dict[bytes, dict[str, Any]]:
        """Read the notes of many results by identity digest, as far as they have any that can be read."""
        found = self.packed.all_notes([meta.identity for meta in metas if meta.size == 0])
        in_tree = {meta.identity: meta for meta in metas if meta.size}
        for digest, id in self.ids.lookup([*in_tree]).items():
            path = f"{self.instance_directory(id)}/{files.RESULT}"
            found[digest] = files.load_notes(path, in_tree[digest])
        return {digest: notes for digest, notes in found.items() if isinstance(notes, dict)}

    def verify(self, digest: bytes) -> None:
        """Check a result as a whole, without unpickling it; one that is not there is all right.

        Raises:
            DamagedResultError: It is damaged.
        """
        if self.packed.values([digest]):
            return
        for id in self.ids.lookup([digest]).values():
            path = f"{self.instance_directory(id)}/{files.RESULT}"
            if files.peek(path) is not None:
                files.verify(path)

    def allot(self, digests: Sequence[bytes]) -> dict[bytes, int]:
        """Give the tasks' ids, new ones to those that have none."""
        return self.ids.allot(digests)

    def make_ready(self) -> None:
        """Make the directory that instance directories go to.

        Raises:
            CacheError: The file system takes another class's directory for this one's.
        """
        make_directories(f"{self.directory}/results")
        self._check_name()
        if os.path.exists(self._cleared):
            with locked(self.directory):
                self._remove_cleared()

    def remove_abandoned(self, is_alone: Callable[[], bool]) -> None:
        """Remove instance directories without a result whose ids nobody noted, as a killed driver leaves them.

        Args:
            is_alone: Whether no other driver is there that may still note the ids of its directories. It is asked
                between a look at the directories and one at the ids.
        """
        if not self.ids.has_unnoted():
            return  # ids that are noted before their directories are made leave nothing abandoned
        present = self.ids.present()
        if present and is_alone():
            import shutil

            for id in self.ids.unnoted(present):
                shutil.rmtree(self.instance_directory(id), ignore_errors=True)

    def commit_packed(self, rows: Sequence[Row]) -> None:
        """Keep a group of small results, in the place of what their tasks had before."""
        self.packed.commit(rows)

    def discard(self, digests: Iterable[bytes]) -> None:
        """Drop the packed results of tasks that are about to run again."""
        self.packed.discard(digests)

    def discard_result(self, digest: bytes) -> None:
        """Drop one result, wherever it lies."""
        self.packed.discard([digest])
        for id in self.ids.lookup([digest]).values():
            files.remove_result(self.instance_directory(id))

    def remove(self, ids: Iterable[int], digests: Sequence[bytes]) -> None:
        """Remove the directories of tasks, and packed results, for good; ids are not used again."""
        for id in ids:
            files.clean(self.instance_directory(id))
            files.remove(self.instance_directory(id))
        if digests:
            self.packed.discard(digests)
            self.packed.compact()

    def clear(self, digests: Sequence[bytes]) -> None:
        """Remove results, logs, failures and the contents of the data directories."""
        self.packed.discard(digests)
        for id in self.ids.lookup(digests).values():
            directory = self.instance_directory(id)
            files.clean(directory, keep=(files.ARGS, files.DATA))
            data = f"{directory}/{files.DATA}"
            if os.path.isdir(data) and not os.path.islink(data):
                files.unlock(data)
                for name in os.listdir(data):
                    files.remove(f"{data}/{name}")

    def clear_all(self) -> None:
        """Remove all results of the class. Its ids stay what they were."""
        self.packed.close()
        for name in ("packed.sqlite3", "packed.sqlite3-journal"):
            files.remove(f"{self.directory}/{name}")
        if os.path.isdir(self.directory):
            with locked(self.directory):
                self._remove_cleared()
                try:
                    os.rename(f"{self.directory}/results", self._cleared)
                except FileNotFoundError:
                    return
                self._remove_cleared()

    def save_source(self, digest: bytes, text: str) -> None:
        """Keep the normalised source that results name by its digest."""
        _write_once(f"{self.directory}/sources/{digest.hex()}.txt", text)

    def save_signature(self, signature: Mapping[str, Any]) -> None:
        """Keep of which arguments identities are made, so that results are found when there are others."""
        text = json.dumps(signature, sort_keys=True)
        name = blake2b(text.encode(), digest_size=8).hexdigest()
        _write_once(f"{self.directory}/signatures/{name}.json", text)

    def signatures(self) -> list[dict[str, Any]]:
        """Read of which arguments identities are, and were, made."""
        try:
            names = sorted(os.listdir(f"{self.directory}/signatures"))
        except OSError:
            return []
        read = [files.read_object(f"{self.directory}/signatures/{name}") for name in names if name.endswith(".json")]
        return [one for one in read if {"names", "defaults"} <= one.keys()]

    def add_former_name(self, name: str) -> None:
        """Note that the class was called otherwise, and take over the sources that it had."""
        origin = ClassStore(self.beside(name))
        with locked(self.directory):
            names = dict.fromkeys([*self.former_names(), name, *origin.former_names()])
            _replace(f"{self.directory}/{_FORMER}", json.dumps({"names": list(names)}))
        for digest in origin.sources():
            text = origin.load_source(digest)
            if text is not None:
                self.save_source(digest, text)

    def former_names(self) -> list[str]:
        """Give the names that the class had."""
        names = files.read_object(f"{self.directory}/{_FORMER}").get("names")
        return [name for name in names if isinstance(name, str)] if isinstance(names, list) else []

    def beside(self, name: str) -> str:
        """Name the directory of another class of the same cache."""
        return f"{os.path.dirname(self.directory)}/{name}"

    def sources(self) -> list[bytes]:
        """Give the digests of the sources that are kept."""
        try:
            names = os.listdir(f"{self.directory}/sources")
        except OSError:
            return []
        return [bytes.fromhex(name[:-4]) for name in names if re.fullmatch(r"[0-9a-f]{32}\.txt", name)]

    def load_source(self, digest: bytes) -> str | None:
        """Read a kept source; None if it is not there."""
        try:
            with open(f"{self.directory}/sources/{digest.hex()}.txt", encoding="utf-8", errors="surrogatepass") as file:
                return file.read()
        except (OSError, UnicodeError):
            return None

    def accept_sources(self, digest: bytes, stored: Iterable[bytes]) -> None:
        """Note that results made by these sources are as good as those made by the source of that digest."""
        path = self._accepted_path(digest)
        with locked(os.path.dirname(path)):
            lines = {one.hex() for one in [*self.accepted_sources(digest), *stored]}
            _replace(path, "".join(f"{line}\n" for line in sorted(lines)))

    def accepted_sources(self, digest: bytes) -> set[bytes]:
        """Read which sources were said to be as good as the one of that digest."""
        try:
            with open(self._accepted_path(digest), encoding="ascii") as file:
                return {bytes.fromhex(line) for line in file}
        except (OSError, ValueError):
            return set()

    def _accepted_path(self, digest: bytes) -> str:
        return f"{self.directory}/sources/{digest.hex()}.accepts"

    def close(self) -> None:
        """Let go of all files."""
        self.ids.close()
        self.packed.close()

    def _check_name(self) -> None:
        """Make sure that the directory is this class's, on a file system that ignores upper and lower case, too."""
        root, own = os.path.split(self.directory)
        names = os.listdir(root)
        if own not in names:
            for name in names:
                if name.casefold() == own.casefold():
                    msg = (
                        f"{own} and {name} differ only in upper and lower case, which the file system of {root} does "
                        "not tell apart; rename one of the two classes."
                    )
                    raise CacheError(msg)

    @property
    def _cleared(self) -> str:
        """Where results go that are being removed; what is left there is for the next one to remove."""
        return f"{self.directory}/results.cleared"

    def _remove_cleared(self) -> None:
        files.remove(self._cleared)

    def _peek_tree(self, digest: bytes, id: int | None) -> Meta | None:
        if id is None:
            return None
        return self.peek_instance(self.instance_directory(id), digest)


def _write_once(path: str, text: str) -> None:
    """Write a file that is the same for all who write it."""
    if not os.path.exists(path):
        with locked(os.path.dirname(path)):
            _replace(path, text)


def _replace(path: str, text: str) -> None:
    """Write a file as a whole; its directory is locked."""
    # One name for all drivers, so that what a killed one left is taken up by the next.
    files.write_text(f"{path}.tmp", text)
    os.replace(f"{path}.tmp", path)
