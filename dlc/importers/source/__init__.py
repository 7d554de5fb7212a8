"""An imported model as a program in dl: readable text, with its weights beside it.

`write` is the door, `body` walks regions, `operations` and `statements` say how each operation is
written, `text` and `names` are the words. What dl cannot say is refused with a table (E0714)."""
