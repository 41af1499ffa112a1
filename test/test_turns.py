"""Whose turn it is: in order, given back, and taken again within."""

import threading

from janusvln_ros.turns import turn
import pytest
from waiting import wait_for


def test_threads_that_always_want_it_have_it_in_turn():
    order, gate = [], threading.Barrier(3)

    def drive(name):
        gate.wait()
        for _ in range(20):
            with turn():
                order.append(name)

    threads = [threading.Thread(target=drive, args=(name,)) for name in 'abc']
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    # while all three want it; one may come late, and then goes on alone
    counts = [order[:30].count(name) for name in 'abc']
    assert len(order) == 60 and all(order.count(name) == 20 for name in 'abc'), order
    together = range(max(order.index(name) for name in 'abc'), 50)
    assert all(order[i] != order[i + 1] for i in together if len(set(order[i:])) == 3), counts


def test_a_turn_is_held_until_its_end_and_may_be_taken_again_within():
    inside, release = threading.Event(), threading.Event()

    @turn()
    def hold():
        with turn():
            inside.set()
        release.wait(20)

    first, second = threading.Thread(target=hold), threading.Thread(target=hold)
    first.start()
    wait_for(inside.is_set, 'the first turn')
    inside.clear()
    second.start()
    assert not inside.wait(0.1)
    release.set()
    wait_for(inside.is_set, 'the second turn')
    for thread in (first, second):
        thread.join(20)


def test_a_turn_that_ends_in_an_error_is_given_back():
    with pytest.raises(RuntimeError), turn():
        raise RuntimeError
    done = threading.Event()

    @turn()
    def other():
        done.set()

    threading.Thread(target=other).start()
    wait_for(done.is_set, 'the turn')
