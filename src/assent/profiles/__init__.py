"""Alignment profiles: what one audience (a region, a culture, a brand) wants beyond what everybody wants.

A profile is a YAML file in a tree of such files; evidence decides how much of the model may be its own, and only what
wins with people of the audience who were never learned from is published.
"""
