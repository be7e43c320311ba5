"""What lets people in besides passwords: a sign-in provider, links in mails, and the file that says so."""
