"""The forms that values take in msgpack when msgpack itself has none for them."""
