"""Embedded, generated and packaged data sets, one a file; `transferlab.data` hands them out."""
