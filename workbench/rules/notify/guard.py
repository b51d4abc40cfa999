"""Where notifications may go: allowed hosts alone, and no private address unless that is allowed too.

A rule is a file that somebody wrote: it must not reach what lies beside this machine. A name is resolved
once, every address that it has is looked at, and the connection goes to one that was looked at; redirects
are not followed.
"""

from __future__ import annotations

import ipaddress
import socket
from dataclasses import dataclass
from urllib.parse import quote, urlsplit

from workbench.errors import NotificationRefusedError

__all__ = ["Guard", "Target", "is_public"]

_PORTS = {"http": 80, "https": 443}
_WRITTEN = "/?:@!$&'()*+,;=%-._~"  # of what stands in a path or query as it is
_NAT64 = ipaddress.ip_network("64:ff9b::/96")
_NAT64_LOCAL = ipaddress.ip_network("64:ff9b:1::/48")


@dataclass(frozen=True)
class Target:
    """An address that may be connected to.

    Attributes:
        scheme: ``http`` or ``https``.
        host: As it was written.
        port: Where.
        path: Path and query.
        address: The numeric address to connect to.
    """

    scheme: str
    host: str
    port: int
    path: str
    address: str


def is_public(address: str) -> bool:
    """Return whether a numeric address is one of the public internet, also in the forms that hide another.

    >>> [is_public(a) for a in ("93.184.215.14", "10.0.0.1", "::ffff:127.0.0.1", "64:ff9b::a00:1")]
    [True, False, False, False]
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        inner = found.ipv4_mapped or found.sixtofour or (found.teredo[1] if found.teredo else None)
        if inner is None and found in _NAT64:
            inner = ipaddress.IPv4Address(int(found) & 0xFFFFFFFF)
        if inner is None and int(found) >> 32 == 0 and int(found) > 1:
            inner = ipaddress.IPv4Address(int(found))  # the old IPv4-compatible form
        if inner is not None:
            return is_public(str(inner))
        if found in _NAT64_LOCAL or found.is_site_local:
            return False
    return found.is_global and not found.is_multicast


@dataclass(frozen=True)
class Guard:
    """What may be connected to.

    Args:
        hosts: Allowed hosts, comma-separated: ``host``, ``*.domain`` (at the usual ports) or ``host:port``.
        private: Those of them that may lie at private addresses.
    """

    hosts: str
    private: str

    def target(self, url: str) -> Target:
        """Return where to connect for an address.

        Raises:
            NotificationRefusedError: If that is not allowed.
            OSError: If the name cannot be resolved.
        """
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError:
            raise NotificationRefusedError("the address cannot be read.") from None
        if parts.scheme not in _PORTS or not parts.hostname or parts.username or parts.password:
            raise NotificationRefusedError(
                "the address is none of http or https, or has a name in it.",
                fix="Write http(s)://host[:port][/path].",
            )
        host = parts.hostname.rstrip(".").lower()
        port = port or _PORTS[parts.scheme]
        if not _listed(host, port, self.hosts):
            raise NotificationRefusedError(
                f"the host {host}:{port} is not allowed.", fix="Add it to the setting notify_hosts."
            )
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except UnicodeError:
            raise NotificationRefusedError("the address has a host that is no name.") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        hidden = [address for address in addresses if not is_public(address)]
        if hidden and not _listed(host, port, self.private):
            raise NotificationRefusedError(
                f"{host} is at the private address {hidden[0]}.",
                fix="Add the host to the setting notify_private, if it is meant.",
            )
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        return Target(parts.scheme, host, port, quote(path, safe=_WRITTEN), addresses[0])


def _listed(host: str, port: int, listed: str) -> bool:
    """Return whether a host is in a list.

    >>> _listed("hooks.example.com", 443, "*.example.com"), _listed("example.com", 8443, "example.com")
    (True, False)
    >>> _listed("127.0.0.1", 8080, "127.0.0.1:8080"), _listed("::1", 80, "[::1]")
    (True, True)
    """
    for entry in listed.lower().split(","):
        name, ports = entry.strip(), tuple(_PORTS.values())
        if name.startswith("["):
            name, _, given = name[1:].partition("]")
            given = given.removeprefix(":")
        else:
            name, _, given = name.partition(":")
        if given:
            ports = (int(given),) if given.isdecimal() else ()
        matches = host.endswith(name[1:]) if name.startswith("*.") else host == name
        if name and matches and port in ports:
            return True
    return False
