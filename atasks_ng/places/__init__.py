"""Where things are found: tasks by name, namespaces, and the call that is running now."""
