"""The rating service over HTTP: pages and JSON for raters, adjudicators and admins, on the feedback store."""
