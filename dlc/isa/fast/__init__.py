"""The fast machine: the same clauses of the same files, compiled to native code through LLVM. With
`targets/cpu` the only place that imports llvmlite."""
