"""The people: accounts, tokens, invitations, and what raters say about themselves."""
