"""Assent's learner: one optimizer over one model, behind four verbs."""
