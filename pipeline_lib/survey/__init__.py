"""Look at a source and advise on params.yaml: what `perennial init` does."""

from pipeline_lib.survey.answers import NO_LABELS, SourceAnswer
from pipeline_lib.survey.earlier_data import (
    NewData,
    Renewal,
    answer_before,
    decision_on_address,
    is_other_data,
    new_data,
    no_longer_read,
    renewals,
)
from pipeline_lib.survey.earlier_entries import (
    EarlierSource,
    answer_of,
    earlier_sources,
    unlabelled_answer,
)
from pipeline_lib.survey.entries import SurveyedSource, labels_in_params, pooled
from pipeline_lib.survey.estimate import CostTrial, RunEstimate, describe_estimate, scale, try_out
from pipeline_lib.survey.extra_tests import in_words, real_labels
from pipeline_lib.survey.label_choice import LabelsDoubt
from pipeline_lib.survey.look import Survey, look_at
from pipeline_lib.survey.recipe_choice import Advice, advise, gains_from_weights
from pipeline_lib.survey.subjects import DECLINED, Subjects
from pipeline_lib.survey.understand import still_fits, survey, survey_of
from pipeline_lib.survey.weight_choice import WeightChoice, Weights, choose_weights, named_weights
from pipeline_lib.survey.words import (
    describe,
    describe_doubt,
    describe_labels_doubt,
    describe_offers,
    describe_together,
)

__all__ = [
    "DECLINED",
    "NO_LABELS",
    "Advice",
    "CostTrial",
    "EarlierSource",
    "LabelsDoubt",
    "NewData",
    "Renewal",
    "RunEstimate",
    "SourceAnswer",
    "Subjects",
    "Survey",
    "SurveyedSource",
    "WeightChoice",
    "Weights",
    "advise",
    "answer_before",
    "answer_of",
    "choose_weights",
    "decision_on_address",
    "describe",
    "describe_doubt",
    "describe_estimate",
    "describe_labels_doubt",
    "describe_offers",
    "describe_together",
    "earlier_sources",
    "gains_from_weights",
    "in_words",
    "is_other_data",
    "labels_in_params",
    "look_at",
    "named_weights",
    "new_data",
    "no_longer_read",
    "pooled",
    "real_labels",
    "renewals",
    "scale",
    "still_fits",
    "survey",
    "survey_of",
    "try_out",
    "unlabelled_answer",
]
