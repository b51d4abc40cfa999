"""Partials: pure, vectorised functions from documents to everything derived from one segment alone."""
