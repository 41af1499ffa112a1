"""DDS domains that are held by one test, or one trial of a benchmark."""

from collections.abc import Iterator
import contextlib
import random
import socket

_PARTICIPANTS = 32  # of a domain that are looked for; each has a port of its own, by the standard


@contextlib.contextmanager
def free_domain() -> Iterator[int]:
    """
    Hold a DDS domain that no participant is in.

    Another run of the tests on this machine would be heard otherwise, and would be obeyed.
    """
    for domain in random.sample(range(1, 102), 101):  # those below Linux's ephemeral ports
        with contextlib.ExitStack() as held:
            try:
                name = held.enter_context(socket.socket(socket.AF_UNIX))
                name.bind(f'\0janusvln_ros test domain {domain}')  # freed with the process
                for participant in range(_PARTICIPANTS):
                    probe = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                    probe.bind(('', 7410 + 250 * domain + 2 * participant))
                    probe.close()
            except OSError:
                continue
            yield domain
            return
    raise RuntimeError('all DDS domains of this machine are in use')
