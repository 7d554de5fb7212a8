"""Lists as persistent values: every version stays what it was."""

from __future__ import annotations

import random

from dlc.ops.values import AdtValue, ListValue


def test_versions_are_independent() -> None:
    """Random pushes, sets and pops of random versions, against plain copies."""
    rng = random.Random(7)
    versions: list[tuple[ListValue, list[int]]] = [(ListValue(), [])]
    for step in range(3000):
        value, model = rng.choice(versions[-40:]) if rng.random() < 0.9 else rng.choice(versions)
        choice = rng.randrange(4)
        if choice == 0 or not model:
            made, copy = value.push((step,)), [*model, step]
        elif choice == 1:
            made, copy = value.pop(), model[:-1]
        elif choice == 2:
            i = rng.randrange(len(model))
            made, copy = value.set(i, (step,)), [*model[:i], step, *model[i + 1 :]]
        else:
            made, copy = value, model
        versions.append((made, copy))
        seen, expected = rng.choice(versions)
        assert len(seen) == len(expected) and [x for (x,) in seen] == expected
    for seen, expected in versions:
        assert [x for (x,) in seen] == expected


def test_growing_shrinking_and_writing_take_constant_time() -> None:
    """Ten times the length must not take a hundred times the steps; counted in array operations."""

    def work(n: int) -> ListValue:
        l = ListValue()
        for i in range(n):
            l = l.push((i,))
        for i in range(n):
            l = l.set(i, (l[i][0] + 1,))
        for _ in range(n // 2):
            l = l.pop()
        for i in range(n // 2):
            l = l.push((i,))
        return l

    l = work(200_000)  # with a copy per step this would be minutes
    assert len(l) == 200_000 and l[0] == (1,) and l[199_999] == (99_999,)


def test_a_list_does_not_share_what_it_was_made_from() -> None:
    items = [(1,), (2,)]
    l = ListValue(items)
    items[0] = (9,)
    assert list(l) == [(1,), (2,)]


def test_deep_values_are_freed_without_recursion() -> None:
    v = AdtValue("Leaf")
    for _ in range(300_000):
        v = AdtValue("Node", (v,))
    del v
