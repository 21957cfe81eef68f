"""Slides and hand-outs for whoever teaches a lesson."""
