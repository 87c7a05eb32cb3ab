"""Teacher: adapts a trained network to drawn classes, and keeps a bounded number of results under random names."""
import secrets
from collections import OrderedDict
from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image

from mindspore_maml.classifier import FewShotClassifier
from mindspore_maml.cli.errors import InputError
from mindspore_maml.demo.characters import as_picture
from mindspore_maml.demo.limits import MOST_LEARNED
from mindspore_maml.exporting import archive_of


class ForgottenError(Exception):
    """There is no classifier of a name, or no longer."""


class Teacher:
    """Learns classes and answers for images; all but `seen` is not for several threads at once.

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
        self._latest: FewShotClassifier | None = None

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
        self._latest = self._make().fit([image for images in classes for image in images], labels)
        return self._latest

    def seen(self, image: Image.Image) -> Image.Image:
        """What the network sees of an image.

        Raises
        ------
        InputError
            As `FewShotClassifier.read` does, and where nothing was ever learned.
        """
        if self._latest is None:
            raise InputError("nothing was learned here yet; expected that first")
        return seen_by(self._latest, self._latest.read([image])[0])[0]

    def answer(self, name: str, image: Image.Image) -> tuple[np.ndarray, bool | None, Image.Image]:
        """What the classifier of a name says of an image.

        Returns
        -------
        probabilities : ndarray of float64, [class]
        none : bool or None
            Whether it shows none of the classes; None where that was not measured for the network.
        seen : Image
            What the network sees of it.

        Raises
        ------
        ForgottenError
            Where no classifier has this name.
        InputError
            As `FewShotClassifier.predict_proba` does.
        """
        model = self._of(name)
        pixels, _ = model.read([image])
        if model.adapted_.limits is None:
            return model.probabilities(pixels)[0], None, seen_by(model, pixels)[0]
        probabilities, known = model.answers(pixels)
        return probabilities[0], not known[0], seen_by(model, pixels)[0]

    def network(self, name: str, classes: Sequence[str]) -> bytes:
        """The classifier of a name as files for other programs, its classes under these names, in a zip archive.

        Raises
        ------
        ForgottenError
            Where no classifier has this name.
        InputError
            As `archive_of` does.
        """
        return archive_of(self._of(name), classes)

    def _of(self, name):
        if name not in self._learned:
            raise ForgottenError(name)
        self._learned.move_to_end(name)
        return self._learned[name]


def seen_by(model: FewShotClassifier, pixels: np.ndarray) -> list[Image.Image]:
    """Pictures of what a fitted classifier has read, `pixels` [image, imgc, imgsz, imgsz]."""
    return [as_picture(each, model.options().images) for each in pixels]
