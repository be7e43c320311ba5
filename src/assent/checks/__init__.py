"""What a program can check of an answer without any model: instructions followed, the right answer, the right form."""
