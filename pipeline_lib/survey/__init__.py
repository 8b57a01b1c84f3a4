"""Look at a source and advise on params.yaml: what `perennial init` does."""

from pipeline_lib.survey.answers import SourceAnswer
from pipeline_lib.survey.earlier_data import (
    NewData,
    Renewal,
    answer_before,
    decision_on_address,
    new_data,
    no_longer_read,
    renewals,
)
from pipeline_lib.survey.estimate import CostTrial, RunEstimate, describe_estimate, scale, try_out
from pipeline_lib.survey.look import Survey, survey
from pipeline_lib.survey.recipe_choice import Advice, advise, gains_from_weights
from pipeline_lib.survey.weights_at_hand import AtHand, Weights, cached_weights, named_weights
from pipeline_lib.survey.words import describe, describe_doubt

__all__ = [
    "Advice",
    "AtHand",
    "CostTrial",
    "NewData",
    "Renewal",
    "RunEstimate",
    "SourceAnswer",
    "Survey",
    "Weights",
    "advise",
    "answer_before",
    "cached_weights",
    "decision_on_address",
    "describe",
    "describe_doubt",
    "describe_estimate",
    "gains_from_weights",
    "named_weights",
    "new_data",
    "no_longer_read",
    "renewals",
    "scale",
    "survey",
    "try_out",
]
