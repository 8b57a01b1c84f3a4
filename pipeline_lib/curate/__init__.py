"""Curation: which picture is used, as what and in which split, and why the others are not. No picture is rewritten.

run.py reads and writes; decide.py makes all decisions, in the order in which they count. What it asks:

- labels.py (received, voted, ordered): votes.py, overrides.py, class_words.py; stopping.py says when votes suffice
- duplicates.py: hash_pairs.py and near.py propose pairs, alike_details.py and second_look.py confirm them; settle.py
  chooses the copy that stays
- label_issues.py and confident.py doubt labels out of sample; outliers.py and quality.py remark; vectors.py serves them
- splits.py deals the splits; classes.py caps, weighs and orders classes; more_to_learn.py finds rows without a label
- verdicts.py keeps the reasons, ledger.py the balance; limits.py stops what went too far; figures.py, profile.py count
- review.py asks people, active.py what to label next
"""
