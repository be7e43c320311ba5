"""What the store takes and gives: plain records that need no database."""
