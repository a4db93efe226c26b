"""Load, split, train and score: which settings of a support vector machine read handwritten digits best?

    pip install 'taskproc[examples]'
    taskproc examples/digits_grid.py

Change a number in GRID and run it again: only what is new is trained. Change `Train.run_task` and all models are
trained again, while the data stays as it was split.
"""
from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.svm import SVC

from taskproc import Requires, RequiresDict, TaskBase

GRID = {"C": [0.3, 1.0, 3.0, 10.0], "gamma": [0.0003, 0.001, 0.003]}
Samples = tuple[np.ndarray, np.ndarray]  # images as rows of 64 pixels, the digits that they show


class Load(TaskBase):
    """Read the images; in a real pipeline, the slow download."""

    def run_task(self) -> Samples:
        digits = load_digits()
        return digits.data, digits.target


class Split(TaskBase):
    """Put a third of the samples aside for scoring."""

    samples: Requires[Samples]

    def __init__(self, seed: int):
        self.seed = seed
        self.samples = Load()

    def run_task(self) -> dict[str, Samples]:
        images, digits = self.samples
        train, test, train_digits, test_digits = train_test_split(
            images, digits, test_size=1 / 3, random_state=self.seed, stratify=digits
        )
        return {"train": (train, train_digits), "test": (test, test_digits)}


class Train(TaskBase):
    """Train one model. Its settings are the arguments of the task, so each setting is cached on its own."""

    samples: Requires[Samples]

    def __init__(self, seed: int, C: float, gamma: float):
        self.settings = {"C": C, "gamma": gamma}
        # All models share this one split: the same class with the same arguments is the same task.
        self.samples = Split(seed)["train"]

    def run_task(self) -> SVC:
        images, digits = self.samples
        return SVC(**self.settings).fit(images, digits)


class Score(TaskBase):
    """Give the share of the held-out digits that a model reads right."""

    model: Requires[SVC]
    samples: Requires[Samples]

    def __init__(self, seed: int, **settings: float):
        self.model = Train(seed, **settings)
        self.samples = Split(seed)["test"]

    def run_task(self) -> float:
        return float(self.model.score(*self.samples))


class Main(TaskBase):
    """Score the grid, and print it with the best setting first."""

    # The keys of a RequiresDict are kept as they are: here (C, gamma).
    scores: RequiresDict[Any, float]

    def __init__(self, seed: int = 0):
        self.scores = {(C, gamma): Score(seed, C=C, gamma=gamma) for C, gamma in product(GRID["C"], GRID["gamma"])}

    def run_task(self) -> dict[str, float]:
        ranked = sorted(self.scores.items(), key=lambda item: item[1], reverse=True)
        print(f"{'C':>6} {'gamma':>8} {'score':>7}")
        for (C, gamma), score in ranked:
            print(f"{C:>6} {gamma:>8} {score:>7.3f}")
        (C, gamma), score = ranked[0]
        return {"C": C, "gamma": gamma, "score": score}


if __name__ == "__main__":
    print(Main().run_graph())
