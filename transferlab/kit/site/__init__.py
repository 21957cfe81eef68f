"""The course as a static site: the pages are collected, then Sphinx builds them."""
