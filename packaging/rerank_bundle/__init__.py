"""Builds and checks model.tar.gz bundles."""
