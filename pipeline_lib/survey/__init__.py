"""Look at a source and advise on params.yaml: what `perennial init` does."""

from pipeline_lib.survey.advice import recommended_params
from pipeline_lib.survey.look import Survey, survey
from pipeline_lib.survey.words import describe

__all__ = ["Survey", "describe", "recommended_params", "survey"]
