"""Runs worth showing: each is a little code over a `Network` that answers with plain data."""
