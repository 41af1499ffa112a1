"""Parameters of the console."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from janusvln_ros.parameters import parameter


@dataclass(frozen=True)
class ConsoleParameters:
    """Where it listens, who may do what, and when driving is locked; ValueError for half a TLS."""

    address: str = parameter(
        '127.0.0.1', 'Address to listen at; 0.0.0.0: all of this computer, for a whole network.'
    )
    port: int = parameter(8080, 'Port to listen at; 0: any that is free.', low=0, high=65535)
    hosts: str = parameter(
        '',
        'Names and addresses, parted by commas, by which browsers may call it, besides address and'
        ' this computer: every other Host is refused.',
    )
    certificate: str = parameter('', 'PEM file with the certificate, for https; empty: http.')
    key: str = parameter('', 'PEM file with the key of the certificate.')
    stop_without_login: bool = parameter(
        False, 'The stop button works for everybody who can open the page.'
    )
    recording: str = parameter(
        '', 'Bag that a recorder writes: past episodes of it can be downloaded; empty: none.'
    )
    picture_age: float = parameter(
        0.7,
        'Driving is locked while the picture that the driver sees is older.',
        unit='s',
        low=0.1,
        high=2.0,
    )
    drive_linear_speed: float = parameter(
        0.2,
        'Drive of a key that is held; the executor has limits too.',
        unit='m/s',
        low=0.01,
        high=1,
    )
    drive_angular_speed: float = parameter(
        0.6, 'Turn of a key that is held.', unit='rad/s', low=0.01, high=3
    )
    max_connections: int = parameter(64, 'Connections at a time.', low=4, high=1000)

    def __post_init__(self) -> None:
        if bool(self.certificate) != bool(self.key):
            raise ValueError('certificate and key belong together: one of them is not given')
        for name in ('certificate', 'key'):
            path = getattr(self, name)
            if path and not Path(path).is_file():
                raise ValueError(f'{name} is {path!r}: there is no such file')

    @property
    def scheme(self) -> str:
        """Return http or https."""
        return 'https' if self.certificate else 'http'
