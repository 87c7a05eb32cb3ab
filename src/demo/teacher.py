"""Teacher: adapts a trained network to drawn classes, and keeps a bounded number of results under random names."""
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.demo.limits import MOST_LEARNED


class ForgottenError(Exception):
    """There is no classifier of a name, or no longer."""


class Teacher:
    """Learns classes and answers for images. Not for several threads at once.

    Nothing here belongs to a browser: each that learns gets a name nobody can guess, which stands for its classes.

    Parameters
    ----------
    make : callable
        Gives a `FewShotClassifier` to fit.
    most : int
        How many fitted ones to keep; of more, the one goes that was unused for the longest time.
    """

    def __init__(self, make: Callable[[], FewShotClassifier], most: int = MOST_LEARNED):
        self._make, self._most = make, most
        self._learned: OrderedDict[str, FewShotClassifier] = OrderedDict()

    def learn(self, classes: Sequence[Sequence[Image.Image]]) -> tuple[str, FewShotClassifier]:
        """Adapt to the images of each class, whose labels are 0, 1, ...; its name, and the classifier itself.

        Raises
        ------
        InputError
            As `FewShotClassifier.fit` does.
        """
        model = self.fitted(classes)
        name = secrets.token_urlsafe(16)
        self._learned[name] = model
        while len(self._learned) > self._most:
            self._learned.popitem(last=False)
        return name, model

    def fitted(self, classes: Sequence[Sequence[Image.Image]]) -> FewShotClassifier:
        """A classifier that has learned the classes, kept by nobody."""
        labels = [number for number, images in enumerate(classes) for _ in images]
        return self._make().fit([image for images in classes for image in images], labels)

    def answer(self, name: str, image: Image.Image) -> np.ndarray:
        """The probability of every class, [class], that `image` shows it.

        Raises
        ------
        ForgottenError
            Where no classifier has this name.
        InputError
            As `FewShotClassifier.predict_proba` does.
        """
        if name not in self._learned:
            raise ForgottenError(name)
        self._learned.move_to_end(name)
        return self._learned[name].predict_proba([image])[0]
