"""Conformance suites for drivers: one module and one class for each kind; they need pytest."""
