"""The `curate` section of params.yaml."""

from __future__ import annotations

from typing import Literal, Self
from unicodedata import normalize

from pydantic import Field, field_validator, model_validator

from pipeline_lib.params_file import Params


class CurateParams(Params):
    """What decides on a picture. The defaults were measured on planted errors; see each room's docstring."""

    classes: tuple[str, ...] | None = Field(
        None, description="the classes to use; others are removed as label_unknown. null: every class received"
    )
    min_images_per_class: int = Field(2, ge=1, le=1_000_000, description="kept training pictures a class must have")
    small_classes: Literal["fail", "drop", "keep"] = Field(
        "drop", description="what to do with a class under min_images_per_class"
    )
    test_fraction: float = Field(0.2, gt=0, le=0.8, description="share of the unpublished pictures put in test, 0..1")
    val_fraction: float = Field(0.1, gt=0, le=0.8, description="share of the unpublished pictures put in val, 0..1")
    split_salt: str = Field("v1", min_length=1, max_length=64, description="another salt is another draw of all splits")
    vote_threshold: float = Field(
        0.9, ge=0.5, lt=1, description="posterior from which the votes replace the label received, 0..1"
    )
    vote_min: int = Field(
        2, ge=1, le=100, description="people's votes a picture needs before votes may change its label"
    )
    calibration_votes: int = Field(
        10, ge=3, le=100, description="votes from which a picture teaches how many votes its class needs"
    )
    expert_annotators: tuple[str, ...] = Field(
        (), description="annotators whose votes are known answers: they decide, and the others are scored on them"
    )
    undecided_votes: Literal["keep", "quarantine"] = Field(
        "keep", description="a training picture whose voters disagree: keep its label, or leave it out"
    )
    cl_folds: int = Field(5, ge=2, le=20, description="folds of the out-of-sample predictions")
    cl_margin: float = Field(
        0.4, ge=0, le=1, description="a label is doubted when another class is this much more probable, 0..1"
    )
    cl_auto_min_accuracy: float = Field(
        0.85, ge=0, le=1, description="out-of-fold accuracy from which doubted training pictures are left out, 0..1"
    )
    cl_train_rows: int = Field(
        20_000, ge=100, le=10_000_000, description="most pictures a fold's predictors learn from"
    )
    ood_percentile: float = Field(
        99.5, ge=50, le=100, description="pictures further from their class than this share are queued as outliers, %"
    )
    label_next: int = Field(500, ge=1, le=100_000, description="pictures without a class that are ranked for labelling")
    dup_auto_hamming: int = Field(
        6, ge=0, le=8, description="bits of 64 by which perceptual hashes of near duplicates may differ"
    )
    dup_review_hamming: int = Field(
        10, ge=0, le=12, description="bits up to which a pair is shown for review instead; dup_auto_hamming: none is"
    )
    dup_auto_agreement: float = Field(
        0.9,
        ge=0,
        le=1,
        description="near duplicates under 64 px: agreement of their details from which they are copies",
    )
    dup_review_agreement: float = Field(
        0.7, ge=0, le=1, description="agreement from which a pair under 64 px is shown for review instead"
    )
    dup_variants: bool = Field(
        True, description="find mirrored, turned and centre-cropped copies too, not only whole upright ones"
    )
    dup_small_rms: float = Field(
        5.0,
        ge=0,
        le=64,
        description="near duplicates under 64 px: RMS difference of 32x32 thumbnails, grey levels of 255",
    )
    dup_questions: int = Field(
        48, ge=0, le=1_000_000, description="most questions about possible copies (near_review), the likeliest first"
    )
    cap_per_class: int | None = Field(
        None, ge=1, le=10_000_000, description="most training pictures of a class, chosen by a hash; null: all"
    )
    placeholder_copies: int = Field(
        10,
        ge=2,
        le=1_000_000,
        description="files with the same pixels and little to see that make a placeholder; all of them are left out",
    )
    aspect_review: float = Field(
        4.0, ge=1, le=10_000, description="pictures this many times longer than wide, or wider than long, are shown"
    )
    class_weights: Literal["none", "inverse", "sqrt", "effective"] = Field(
        "none",
        description="weight of a class in the loss: equal, 1/size, 1/sqrt(size) or 1/(effective number of samples, "
        "beta .999); mean 1 over training",
        json_schema_extra={"visible": True},
    )
    learn_votes: bool = Field(
        False, description="training learns what the votes make of a picture, as probabilities, not only the winner"
    )
    learn_unlabelled: bool = Field(
        False, description="training gets the pictures without a class too, and guesses it; they are not quarantined"
    )
    max_quarantine_rate: float = Field(
        0.2,
        ge=0,
        le=1,
        description="share of quarantined images that stops the line, and, counted apart, of files that are no images "
        "and belong to none (docs/files.md), 0..1",
    )
    max_label_issue_rate: float = Field(
        0.15, ge=0, le=1, description="share of doubted labels, of those judged, that stops the line, 0..1"
    )
    max_leakage: int = Field(
        0, ge=0, description="training pictures tied to val or test that stop the line when passed"
    )
    seed: int = Field(0, ge=0, le=2**31 - 1, description="of the out-of-sample predictors")

    @field_validator("classes")
    @classmethod
    def _composed(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """As `download` spells classes, whatever the keyboard or a copied folder name gave."""
        return classes and tuple(normalize("NFC", name) for name in classes)

    @model_validator(mode="after")
    def _some_training_is_left(self) -> Self:
        if self.test_fraction + self.val_fraction >= 1:
            raise ValueError("test_fraction + val_fraction must stay under 1, so that training pictures are left")
        return self

    @model_validator(mode="after")
    def _review_reaches_further(self) -> Self:
        if self.dup_review_hamming < self.dup_auto_hamming:
            raise ValueError("dup_review_hamming must not be under dup_auto_hamming")
        return self

    @model_validator(mode="after")
    def _a_capped_class_is_no_small_class(self) -> Self:
        if self.cap_per_class is not None and self.cap_per_class < self.min_images_per_class:
            raise ValueError("cap_per_class must not be under min_images_per_class")
        return self


PARAMS = CurateParams
