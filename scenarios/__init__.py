"""Short programs that show the library at work: ``python -m scenarios`` lists them."""
