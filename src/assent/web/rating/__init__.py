"""Pages of raters: tasks, talks with two models, their own profile."""
