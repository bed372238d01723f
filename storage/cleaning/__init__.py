"""Deleting many objects: by directory, by project, by scene, or everything."""
