"""A network with its normalisation in front: raw pixels in, so that training, evaluation and export cannot differ.

images_BHWC: uint8 RGB. logits_BK, probabilities_BK: float32, K classes.
"""

from __future__ import annotations

import torch
from torch import nn

Triple = tuple[float, float, float]


class Classifier(nn.Module):
    """uint8 images_BHWC -> logits_BK. `mean` and `std` of the channels in units of 0..1.

    name: what errors call the network; by default the name of its class. Its state dict is the network's own: the
    normalisation stands in model.json.
    """

    mean: torch.Tensor
    std: torch.Tensor

    def __init__(
        self,
        network: nn.Module,
        *,
        mean: Triple,
        std: Triple,
        name: str = "",
    ) -> None:
        super().__init__()
        # As they were given, before float32 rounds them in the buffers below.
        self._mean = mean
        self._std = std
        self.network = network
        self.name = name or type(network).__name__
        # Not persistent: the state dict is the network's own.
        self.register_buffer("mean", torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, images_BHWC: torch.Tensor) -> torch.Tensor:
        """Compute logits_BK."""
        return self.network(self.normalised(images_BHWC))  # type: ignore[no-any-return]

    @property
    def mean_and_std(self) -> tuple[Triple, Triple]:
        """The normalisation, as it was given."""
        return self._mean, self._std

    def normalised(self, images_BHWC: torch.Tensor) -> torch.Tensor:
        """Compute the network's own input: float32 images_BCHW."""
        images_BCHW = images_BHWC.permute(0, 3, 1, 2).float() / 255
        return (images_BCHW - self.mean) / self.std


class Calibrated(nn.Module):
    """uint8 images_BHWC -> probabilities_BK = softmax(logits / temperature): what is exported."""

    def __init__(self, classifier: Classifier, *, temperature: float) -> None:
        super().__init__()
        self.classifier = classifier
        self.temperature = temperature

    def forward(self, images_BHWC: torch.Tensor) -> torch.Tensor:
        """Compute probabilities_BK."""
        logits_BK = self.classifier(images_BHWC).float()
        return torch.softmax(logits_BK / self.temperature, dim=1)
