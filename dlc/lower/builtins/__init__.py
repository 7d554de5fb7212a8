"""What the prelude's `builtin fn`s mean, as operations and composites of them."""
