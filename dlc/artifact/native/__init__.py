"""The generated code of the C interface (`dlc.artifact.capi`), in the module of the entries.

Each function checks all that its caller could have got wrong, then calls a raw entry. Nothing here
allocates or writes a global; the functions of the interface are the object's only symbols."""
