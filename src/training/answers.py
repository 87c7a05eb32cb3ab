"""What an evaluation answered: every question, the accuracy by character and alphabet, what is taken for what."""
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from mindspore_maml.crossentropy import log_probabilities
from mindspore_maml.data.class_images import Classes

DIGITS = 4   # of a probability that is kept
MOST_PAIRS = 20


@dataclass(frozen=True)
class Answers:
    """The answers to all questions of an evaluation.

    Attributes
    ----------
    images : ndarray or ClassImages
        The classes that tasks were drawn from.
    names, alphabets : sequence of str
        Each class's name, and that of its alphabet; none of these where there are no alphabets.
    classes : ndarray of int, [task, way]
        Which class each label stands for.
    true, found : ndarray of int, [task, question]
        Labels.
    probability : ndarray, [task, question]
        What the network gives the class that it found.
    """

    images: Classes
    names: Sequence[str]
    alphabets: Sequence[str]
    classes: np.ndarray
    true: np.ndarray
    found: np.ndarray
    probability: np.ndarray

    def rows(self) -> Iterator[list]:
        """The rows of a table: a head, then each question."""
        yield ["task", "question", "class", "found", "probability"]
        names = np.array(self.names, object)[self.classes]   # [task, way]
        for task, of_task in enumerate(zip(names, self.true, self.found, self.probability)):
            for question, (true, found, probability) in enumerate(zip(*of_task[1:])):
                yield [task + 1, question + 1, of_task[0][true], of_task[0][found], round(float(probability), DIGITS)]

    def as_json(self) -> dict:
        """All of it in values that JSON keeps; `true` and `found` count a task's `classes` from 0."""
        names = np.array(self.names, object)[self.classes]
        tasks = [{"classes": of_task.tolist(), "true": true.tolist(), "found": found.tolist(),
                  "probability": [round(value, DIGITS) for value in probability.tolist()]}
                 for of_task, true, found, probability in zip(names, self.true, self.found, self.probability)]
        return {"by_alphabet": self.accuracies(self.alphabets) if self.alphabets else {},
                "by_character": self.accuracies(self.names), "confused": self.confused(), "answers": tasks}

    def of_classes(self) -> tuple[np.ndarray, np.ndarray]:
        """The numbers of the true and of the found class of every question, [question]."""
        true, found = (np.take_along_axis(self.classes, labels, axis=1).ravel() for labels in (self.true, self.found))
        return true, found

    def accuracies(self, groups: Sequence[str]) -> dict[str, dict]:
        """The accuracy and the number of questions by group, `groups` naming each class's; sorted by name."""
        true, found = self.of_classes()
        names, numbers = np.unique(np.array(groups)[true], return_inverse=True)
        questions, right = np.bincount(numbers), np.bincount(numbers, true == found)
        return {str(name): {"accuracy": float(of_these / count), "questions": int(count)}
                for name, of_these, count in zip(names, right, questions)}

    def counts(self) -> np.ndarray:
        """How often a class (row) was taken for another (column), [class, class]."""
        return counted(*self.of_classes(), len(self.names))

    def confused(self) -> list[dict]:
        """The pairs of classes of which one is taken for the other most often, the first `MOST_PAIRS`.

        `times` of `questions`, those about the class in tasks with both.
        """
        pairs, counts = [], self.counts()
        for true, found in self.pairs():
            both = (self.classes == true).any(axis=1) & (self.classes == found).any(axis=1)
            asked = np.take_along_axis(self.classes, self.true, axis=1)[both] == true
            pairs.append({"class": self.names[true], "found": self.names[found],
                          "times": int(counts[true, found]), "questions": int(asked.sum())})
        return pairs

    def pairs(self) -> list[tuple[int, int]]:
        """The numbers of the true and the found class of each of those pairs."""
        wrong = self.counts() * (1 - np.eye(len(self.names), dtype=int))
        order = np.argsort(-wrong, axis=None, kind="stable")[:MOST_PAIRS]
        return [divmod(int(place), len(self.names)) for place in order if wrong.flat[place]]


def counted(true: np.ndarray, found: np.ndarray, classes: int) -> np.ndarray:
    """The confusion matrix [class, class] of classes by their numbers: true by row, found by column."""
    return np.bincount(true * classes + found, minlength=classes**2).reshape(classes, classes)


def found_in(logits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The labels found and their probabilities, [task, question] each, by logits [task, question, class]."""
    probabilities = np.exp(log_probabilities(logits))
    return logits.argmax(axis=-1), probabilities.max(axis=-1)
