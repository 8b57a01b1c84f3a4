"""The words of the report, each with what it means to someone who was sent the link."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Word:
    """anchor: where the labels of other pages lead."""

    anchor: str
    term: str
    meaning: str


WORDS = (
    Word(
        "verdict",
        "promoted, waiting, challenger, held, refused, unchanged",
        "What became of the new model. Promoted: it is in use from now on. Waiting: it passed, and is in use as soon as a "
        "person says so. Challenger: it passed, in an experiment, which never promotes. Held: nothing speaks clearly for "
        "or against it, and the champion stays. Refused: it is worse, or a rule was broken. Unchanged: it is the same "
        "model as the champion.",
    ),
    Word(
        "champion",
        "champion",
        "The version of the model that is in use. A new one has to stand beside it on the same images.",
    ),
    Word(
        "split",
        "train, validation, test",
        "The images are divided into three: the model learns from the first, the best state of its training is chosen "
        "on the second, and it is measured on the third, which it has never seen. All figures here are of test images.",
    ),
    Word(
        "corruption",
        "corrupted images, shift",
        "Test images that were made worse on purpose, as cameras, networks and weather do: with noise, out of focus, "
        "compressed, too bright or too dark, in fog, of few pixels. Shift is the name for all images unlike those of the "
        "test split. Nothing is trained or chosen on them.",
    ),
    Word(
        "answer",
        "label and answer",
        "The label is the class that the data give to an image; the answer is the class that the model finds most "
        "probable. Cat → dog: the label says cat, the model says dog. The percentages are the probabilities that the "
        "model gives to both.",
    ),
    Word("top-1", "top-1", "The share of test images whose answer equals the label."),
    Word(
        "top-5",
        "top-5",
        "The share of test images whose label is among the five most probable classes.",
    ),
    Word(
        "interval",
        "95 % interval",
        "A figure measured on other images of the same kind would be a little different. In 95 of 100 such "
        "measurements the interval contains the true figure. More test images make it shorter.",
    ),
    Word(
        "floor",
        "floor",
        "What is right without looking at any image: by always answering with the largest class. A useful model is far "
        "above it.",
    ),
    Word("points", "points", "Differences of percentages: from 80 % to 82 % are 2 points."),
    Word(
        "recall",
        "recall",
        "Of the images of a class, the share that the model recognises. Low: it misses many of them.",
    ),
    Word(
        "precision",
        "precision",
        "Of the images that the model takes for a class, the share that are of it. Low: its answer is often wrong.",
    ),
    Word(
        "f1",
        "F1",
        "Precision and recall in one figure (their harmonic mean), which is low when either of them is.",
    ),
    Word(
        "macro-f1",
        "macro F1",
        "The mean F1 of all classes: a rare class counts as much as a frequent one.",
    ),
    Word(
        "averages",
        "macro, weighted, micro",
        "Three ways to make one figure of all classes. Macro: the mean of the classes, a rare one counts as much as a "
        "frequent one. Weighted: each class counts by its images. Micro: all images in one heap. Look at macro where rare "
        "classes matter: a model can be good on average and never recognise one of them.",
    ),
    Word(
        "ap",
        "average precision",
        "How well a class is told apart if its images are ranked by the probability of the class: 100 % means that all of "
        "them come before all others. Unlike F1 it does not depend on where one draws the line.",
    ),
    Word(
        "operating",
        "operating point",
        "A probability from which an answer counts. A high one makes the answers more reliable (precision) and misses more "
        "images of the class (recall). It is chosen on validation images for a promised precision; what it really gives "
        "is measured on test images, and is often a little less.",
    ),
    Word(
        "severity",
        "severity of mistakes",
        "How far apart label and answer are in the tree of classes: a step for a class nearby, such as another dog, more "
        "steps for something quite different. Of two models with as many mistakes, that with the smaller figure makes the "
        "more forgivable ones.",
    ),
    Word(
        "calibration",
        "calibration error",
        "How far the model's certainty is from the truth, on average. Without error, answers of which it is 90 % sure "
        "are right nine times in ten.",
    ),
    Word(
        "evidence",
        "evidence",
        "How much each part of an image raises a class above the others, in the cells of a layer of the network. A cell is "
        "as fine as the map can be; the model may use detail within it. The map says where, not what: that is for a "
        "person to see.",
    ),
    Word(
        "fresh",
        "rank correlation with fresh weights",
        "Maps can look right whatever a network has learnt. Therefore the same map is made with weights that have learnt "
        "nothing. Near 0 the two are unlike, so the map shows what was learnt; near 1 it shows the network alone.",
    ),
    Word(
        "temperature",
        "temperature",
        "One number, fitted on validation images, by which the model's certainty is turned down (above 1) or up (below 1). "
        "It changes no answer, only how sure the model says it is.",
    ),
    Word(
        "nll",
        "log loss",
        "How improbable the model finds the true classes, on average; 0 is perfect. It punishes an answer that is "
        "wrong and very sure more than anything else does.",
    ),
    Word(
        "brier",
        "Brier score",
        "The squared distance between the probabilities and the truth, from 0 (perfect) to 2 (always sure and wrong). It "
        "grows with mistakes and with wrong certainty.",
    ),
    Word(
        "coverage",
        "answered, coverage",
        "The share of images that the model answers if it leaves those it is not sure of to a person. The fewer it answers, "
        "the more of its answers are right.",
    ),
    Word(
        "lost",
        "lost and won",
        "Lost: images that the champion has right and the new model has wrong. Won: the reverse.",
    ),
    Word(
        "p",
        "p, adjusted",
        "How often two equally good models would differ at least this much in this class by chance. Under 0.05 chance is "
        "an unlikely explanation. It is adjusted for the number of classes, since in many classes one will stand out.",
    ),
    Word(
        "holm",
        "Holm, p adjusted",
        "Of many comparisons some look large by chance. Holm's correction counts all of them: where it says under 0.05, "
        "not even one of twenty such reports names a group that is like the others.",
    ),
    Word(
        "kept",
        "kept, quarantined, removed",
        "Every image that was found is one of these. Kept: it is used. Quarantined: something is wrong with it that can "
        "be fixed. Removed: it is left out on purpose, such as the second copy of an image.",
    ),
    Word(
        "leak",
        "leak avoided",
        "A copy of a test image among the images that the model learns from would make it look better than it is. Such "
        "copies were found, and left out of training.",
    ),
    Word(
        "doubt",
        "doubted label",
        "Predictors that have never seen an image find another class more probable than its label. They suggest; a "
        "person decides.",
    ),
    Word(
        "annotators",
        "annotators",
        "People who gave labels. Votes: how many labels. Accuracy: the estimated share of right ones. Weight: how much a "
        "vote of theirs counts. Agreement: how often they agree with the others. Control images: images whose class was "
        "known beforehand, and the share of them they had right.",
    ),
    Word(
        "drift",
        "population stability index",
        "How much the images differ from those of the version before, in one measure such as brightness. Under 0.1: "
        "little; from 0.25 on: much.",
    ),
    Word(
        "loss",
        "loss, epoch",
        "What training makes smaller: how improbable the model finds the right classes. An epoch is one pass over all "
        "training images. When the validation loss rises while the training loss falls, the model learns by heart.",
    ),
)
