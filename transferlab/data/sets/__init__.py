"""Embedded, generated and packaged data sets, one per file; `transferlab.data` exports them."""
