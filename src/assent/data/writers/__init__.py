"""Writers of foreign formats: comparisons in, rows out, what is lost counted."""
