"""Names, types, dims, effects, keys and exhaustiveness: from trees to typed trees, one per function
instance."""
