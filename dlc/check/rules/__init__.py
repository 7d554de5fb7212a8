"""Rules of expressions and statements, one function per form."""
