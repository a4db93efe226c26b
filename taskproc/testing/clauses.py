"""The clauses of the contract, as failures name them and `docs/write-a-backend.md` explains them."""
from __future__ import annotations

from typing import NoReturn

CLAUSES = {
    "P1": "The plugin is found by its name, and importing it raises nothing.",
    "P2": "It is a BackendPlugin of that name, with a factory or a route, for this version of the contract.",
    "P3": "Its options are a frozen dataclass; each field is made with option(), and every value is hashable.",
    "P4": "capabilities is true from the moment when the factory returns, and a durable backend has adopt and preview.",
    "P5": "A router names a backend that exists, and no route leads in a circle.",
    "T1": "Calls come from one thread, one at a time, and that is not the main thread.",
    "S1": "submit() reports every job accepted, or finished as rejected, before it returns; only jobs that its "
    "BackendUnavailable or SubmitUnknown speaks of are left out, and it raises nothing else.",
    "S2": "payload() is called at most once per submission; if it raises, its own job is rejected and no other.",
    "R1": "Every accepted job is reported finished, also after cancel().",
    "R2": "It is reported finished once.",
    "R3": "Reports are of jobs that were submitted or adopted, and hold an Outcome.",
    "R4": "The outcome is what happened: `ended` with the worker's exit status or signal, `cancelled` only on "
    "request, `rejected` only if the worker never started.",
    "R5": "A job whose worker did its work has its result on disk, or in the outcome, when it is reported finished, "
    "or `latency` seconds later.",
    "W1": "A job is run by taskproc's worker, and what its task writes goes to the task's own files.",
    "W2": "An attempt starts once.",
    "W3": "A worker that dies fails its own job, and no other.",
    "W4": "No job waits behind one whose task runs a graph of its own.",
    "W5": "Workers see the driver's modules and working directory, and classes of `__main__`.",
    "W6": "The worker itself applies prefix commands and timeouts; the backend leaves them to it.",
    "C1": "A job that is cancelled before it starts never starts.",
    "C2": "A job that is cancelled while it runs ends within seconds, with every process that it started.",
    "C3": "cancel() of no job, of a finished job, or for a second time is harmless.",
    "X1": "close() returns within seconds, whatever still runs.",
    "X2": "After close(detach=False) nothing runs on that can be ended.",
    "X3": "When the driver dies, the workers of a backend that is not durable end, and what was done stays done.",
    "D1": "A durable backend stages every job, so that the ledger knows the way to it.",
    "D2": "adopt() follows jobs of an earlier driver and reports them as if they had been submitted here.",
    "D3": "adopt() returns the jobs that the scheduler never took.",
    "D4": "After close(detach=True) jobs live on.",
    "D5": "preview() gives text, and submits nothing.",
}


class ContractBroken(AssertionError):
    """A backend breaks a clause of the contract.

    Attributes:
        clause: The clause's number.
    """

    def __init__(self, clause: str, what: str) -> None:
        super().__init__(f"{what}\nThis breaks clause {clause} of the contract: {CLAUSES[clause]}")
        self.clause = clause


def breach(clause: str, what: str) -> NoReturn:
    """Say what a backend did wrong, and which clause it breaks."""
    __tracebackhide__ = True
    raise ContractBroken(clause, what)


def require(condition: object, clause: str, what: str) -> None:
    """Say so if something is not as a clause has it."""
    __tracebackhide__ = True
    if not condition:
        raise ContractBroken(clause, what)
