"""Layers: one class a kind of layer, the geometry of images as rows, and the description of a network."""
