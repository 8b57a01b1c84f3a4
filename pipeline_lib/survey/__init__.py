"""Look at a source and advise on params.yaml: what `perennial init` does."""

from pipeline_lib.survey.advice import Advice, advise, gains_from_weights
from pipeline_lib.survey.look import Survey, survey
from pipeline_lib.survey.weights_at_hand import AtHand, Weights, cached_weights, named_weights
from pipeline_lib.survey.words import describe

__all__ = [
    "Advice",
    "AtHand",
    "Survey",
    "Weights",
    "advise",
    "cached_weights",
    "describe",
    "gains_from_weights",
    "named_weights",
    "survey",
]
