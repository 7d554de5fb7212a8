"""The intermediate representation: values, operations, regions, functions, modules; text; verifier;
rewriting.

It knows the structured operations by name (`if match for loop map call yield return`) and no other.
"""
