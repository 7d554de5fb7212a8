"""From IR to the bufferised form (`form`), which both targets run: every value gets a place.

    b = bufferise(module)                 # dlc.memory.bufferise
    verify(b)                             # dlc.memory.verify
    print_module(b), read_module(text)    # dlc.memory.print, dlc.memory.read
    interpret(b, "main", args, dims)      # dlc.memory.interpret: over simulated memory
    needs(b).of["main"]                   # dlc.memory.need; dlc.memory.linear: bytes of arena

The steps, function by function: `prepare` (maps as loops, scaling as arithmetic, slices before
arithmetic, sums into accumulators, fusion), `normalise` (every merge of storage an explicit copy),
`liveness`, `coalesce` (with `rings`, `rows`, `columns`: which copies need not be made), `plan`
(slots and frames), `emit`, `tidy`; then `escape` over the whole module.
"""
