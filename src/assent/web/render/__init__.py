"""Texts of models and people as HTML that is safe to show."""
