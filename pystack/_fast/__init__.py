"""The hot core of pystack: ordinary Python files, compiled by Cython or run as they are."""
