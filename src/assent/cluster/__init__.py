"""Assent's runs on several processes and machines: learners and engines as actors of Ray, driven from one command."""
