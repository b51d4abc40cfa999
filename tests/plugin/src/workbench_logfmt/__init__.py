"""A connector for key=value logs, outside the tree of workbench."""
