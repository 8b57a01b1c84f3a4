"""Look at a source and advise on params.yaml: what `perennial init` does."""

from pipeline_lib.survey.answers import NO_LABELS, SourceAnswer
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
from pipeline_lib.survey.extra_tests import (
    ExtraTest,
    extra_test,
    in_words,
    real_labels,
    with_extra_tests,
)
from pipeline_lib.survey.label_choice import LabelsDoubt
from pipeline_lib.survey.look import Survey, look_at
from pipeline_lib.survey.recipe_choice import Advice, advise, gains_from_weights, labels_in_params
from pipeline_lib.survey.subjects import DECLINED, Subjects
from pipeline_lib.survey.understand import still_fits, survey, survey_of
from pipeline_lib.survey.weight_choice import WeightChoice, Weights, choose_weights, named_weights
from pipeline_lib.survey.words import (
    describe,
    describe_doubt,
    describe_labels_doubt,
    describe_offers,
)

__all__ = [
    "DECLINED",
    "NO_LABELS",
    "Advice",
    "CostTrial",
    "ExtraTest",
    "LabelsDoubt",
    "NewData",
    "Renewal",
    "RunEstimate",
    "SourceAnswer",
    "Subjects",
    "Survey",
    "WeightChoice",
    "Weights",
    "advise",
    "answer_before",
    "choose_weights",
    "decision_on_address",
    "describe",
    "describe_doubt",
    "describe_estimate",
    "describe_labels_doubt",
    "describe_offers",
    "extra_test",
    "gains_from_weights",
    "in_words",
    "labels_in_params",
    "look_at",
    "named_weights",
    "new_data",
    "no_longer_read",
    "real_labels",
    "renewals",
    "scale",
    "still_fits",
    "survey",
    "survey_of",
    "try_out",
    "with_extra_tests",
]
