"""The `curate` section of params.yaml."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal, Self
from unicodedata import normalize

from pydantic import Field, field_validator, model_validator

from pipeline_lib.params_file import Params


class CurateParams(Params):
    """What decides on an image. The defaults were measured on planted errors; see pipeline_lib/curate."""

    GONE: ClassVar[Mapping[str, str]] = {
        "ood_percentile": "set curate.ood_spreads; outliers are told by their distance now, not by their rank",
        "cl_margin": "labels are doubted by the probability that they are wrong: set curate.cl_doubt",
    }

    classes: tuple[str, ...] | None = Field(
        None,
        description="classes to use; labels outside the list are removed as label_unknown. null: every class received",
    )
    min_images_per_class: int = Field(
        2, ge=1, le=1_000_000, description="smallest number of kept training images of a class"
    )
    small_classes: Literal["fail", "drop", "keep"] = Field(
        "drop",
        description="what happens to a class with fewer training images than min_images_per_class",
    )
    test_fraction: float = Field(
        0.2,
        gt=0,
        le=0.8,
        description="share of the images without a published split that goes to test, 0..1",
    )
    val_fraction: float = Field(
        0.1,
        gt=0,
        le=0.8,
        description="share of the images without a published split that goes to val, 0..1",
    )
    split_salt: str = Field(
        "v1",
        min_length=1,
        max_length=64,
        description="salt of the hash that draws the splits; another salt draws all of them anew",
    )
    vote_threshold: float = Field(
        0.9,
        ge=0.5,
        lt=1,
        description="posterior probability from which votes replace the received label, 0..1",
    )
    vote_min: int = Field(
        2,
        ge=1,
        le=100,
        description="smallest number of people's votes that may change an image's label",
    )
    calibration_votes: int = Field(
        10,
        ge=3,
        le=100,
        description="number of votes from which an image teaches how many votes its class needs",
    )
    expert_annotators: tuple[str, ...] = Field(
        (),
        description="annotators whose votes are known answers: they decide, and other annotators are scored on them",
    )
    undecided_votes: Literal["keep", "quarantine"] = Field(
        "keep",
        description="what happens to a training image whose voters disagree: its label is kept, or it is quarantined",
    )
    cl_folds: int = Field(
        5, ge=2, le=20, description="number of folds of the out-of-sample predictions"
    )
    cl_doubt: float = Field(
        0.5,
        ge=0,
        le=1,
        description="probability that a label is wrong from which it is doubted, 0..1",
    )
    cl_min_accuracy: float = Field(
        0.78,
        ge=0,
        le=1,
        description="estimated accuracy of the out-of-fold predictors from which labels are doubted at all, 0..1",
    )
    cl_auto_min_accuracy: float = Field(
        0.85,
        ge=0,
        le=1,
        description="out-of-fold accuracy of the predictors from which doubted training images are left out, 0..1",
    )
    cl_train_rows: int = Field(
        20_000,
        ge=100,
        le=10_000_000,
        description="largest number of images that the predictors of a fold learn from",
    )
    label_questions: int = Field(
        200,
        ge=0,
        le=1_000_000,
        description="largest number of questions about doubted labels (label_issue), the most doubtful first",
    )
    ood_spreads: float = Field(
        2.5,
        ge=0,
        le=1000,
        description="number of spreads by which an image must be farther from its class than usual to be queued as an "
        "outlier",
    )
    label_next: int = Field(
        500,
        ge=1,
        le=100_000,
        description="number of images without a class that are ranked for labelling",
    )
    dup_auto_hamming: int = Field(
        6,
        ge=0,
        le=8,
        description="largest number of differing bits, of 64, between perceptual hashes of near duplicates",
    )
    dup_review_hamming: int = Field(
        10,
        ge=0,
        le=12,
        description="largest number of differing hash bits of a pair shown for review; dup_auto_hamming: none is shown",
    )
    dup_auto_agreement: float = Field(
        0.9,
        ge=0,
        le=1,
        description="agreement of details from which images under 64 px are copies, 0..1",
    )
    dup_review_agreement: float = Field(
        0.7,
        ge=0,
        le=1,
        description="agreement of details from which a pair of images under 64 px is shown for review, 0..1",
    )
    dup_variants: bool = Field(
        True,
        description="whether mirrored, turned, cropped, framed and captioned copies are found too, not only whole upright ones",
    )
    dup_small_rms: float = Field(
        5.0,
        ge=0,
        le=64,
        description="largest RMS difference of the 32x32 thumbnails of copies under 64 px, in grey levels of 255",
    )
    dup_questions: int = Field(
        48,
        ge=0,
        le=1_000_000,
        description="largest number of questions about possible copies (near_review), the likeliest first",
    )
    cap_per_class: int | None = Field(
        None,
        ge=1,
        le=10_000_000,
        description="largest number of training images of a class, chosen by a hash; null: no limit",
    )
    placeholder_copies: int = Field(
        10,
        ge=2,
        le=1_000_000,
        description="number of files with the same, nearly plain pixels from which they are left out as a placeholder",
    )
    aspect_review: float = Field(
        4.0,
        ge=1,
        le=10_000,
        description="aspect ratio, longer by shorter side, above which an image is shown for review",
    )
    class_weights: Literal["none", "inverse", "sqrt", "effective"] = Field(
        "none",
        description="weight of a class in the loss: equal, 1/size, 1/sqrt(size) or 1/(effective number of samples, "
        "beta .999); mean 1 over training",
        json_schema_extra={"visible": True},
    )
    learn_votes: bool = Field(
        False,
        description="whether training learns the votes' class probabilities of an image, not only the winning class",
    )
    learn_unlabelled: bool = Field(
        False,
        description="whether training gets images without a class and guesses it, instead of quarantining them",
    )
    max_quarantine_rate: float = Field(
        0.2,
        ge=0,
        le=1,
        description="largest share of quarantined images, and, counted apart, of files that are no images and "
        "belong to none (docs/files.md); a larger one stops the line, 0..1",
    )
    max_label_issue_rate: float = Field(
        0.15,
        ge=0,
        le=1,
        description="largest share of doubted labels among the scored ones; a larger one stops the line, 0..1",
    )
    max_leakage: int = Field(
        0,
        ge=0,
        description="largest number of training images tied to val or test; more stop the line",
    )
    seed: int = Field(
        0, ge=0, le=2**31 - 1, description="random seed of the out-of-sample predictors"
    )

    @field_validator("classes")
    @classmethod
    def _composed(cls, classes: tuple[str, ...] | None) -> tuple[str, ...] | None:
        """As `download` spells classes, whatever the keyboard or a copied folder name gave."""
        return classes and tuple(normalize("NFC", name) for name in classes)

    @model_validator(mode="after")
    def _some_training_is_left(self) -> Self:
        if self.test_fraction + self.val_fraction >= 1:
            raise ValueError(
                "test_fraction + val_fraction must stay under 1, so that training images are left"
            )
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
