"""One module for each transport; nothing imports them but the table of URL schemes."""
