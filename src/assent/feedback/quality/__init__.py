"""What judgments say about raters and tasks; pure, without a database."""
