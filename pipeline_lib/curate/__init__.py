"""Curation: which image is used, as what and in which split, and why the others are not. No image is rewritten.

run.py reads and writes; decide.py makes all decisions, in the order in which they count. What it asks:

- inputs.py: what earlier stages and people hand over; curation_files.py reads the files that people write
- overrides.py, votes.py (with vote_errors.py) and labels.py: the class of each image; active_learning.py: what to label or
  vote on next
- duplicates.py groups copies: duplicate_hashes.py proposes pairs of photographs, duplicate_photographs.py (with
  overlay.py) confirms them, duplicate_small_images.py finds those under 64 px; duplicate_choice.py: which copy stays
- label_issues.py and confident_learning.py: labels the image contradicts; outliers.py and quality.py: odd images
- splits.py: train, val and test, and what would leak between them; classes.py: which classes are left
- selection.py: what training reads; decisions.py: the reasons, and the limits that stop the line
- statistics.py: counts and histograms; review_queue.py: questions for a person
"""
