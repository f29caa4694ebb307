"""Which addresses the product may connect to on behalf of a customer. `ipaddress.is_global` misses NAT64,
6to4, Teredo and metadata services, so the ranges are written out; check the address connected to, never a
name."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

# IANA special-purpose registries (RFC 6890 and successors), multicast, and cloud services that answer only inside.
NON_PUBLIC_V4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",  # this network
            "10.0.0.0/8",  # private, RFC 1918
            "100.64.0.0/10",  # carrier-grade NAT, RFC 6598; Alibaba metadata 100.100.100.200
            "127.0.0.0/8",  # loopback
            "168.63.129.16/32",  # Azure host services
            "169.254.0.0/16",  # link-local; metadata services at 169.254.169.254
            "172.16.0.0/12",  # private
            "192.0.0.0/24",  # IETF protocol assignments; Oracle metadata 192.0.0.192
            "192.0.2.0/24",  # documentation
            "192.31.196.0/24",  # AS112
            "192.52.193.0/24",  # AMT
            "192.88.99.0/24",  # 6to4 relay anycast
            "192.168.0.0/16",  # private
            "192.175.48.0/24",  # AS112
            "198.18.0.0/15",  # benchmarking
            "198.51.100.0/24",  # documentation
            "203.0.113.0/24",  # documentation
            "224.0.0.0/4",  # multicast
            "240.0.0.0/4",  # reserved, and 255.255.255.255
        ),
    )
)
NON_PUBLIC_V6 = tuple(
    map(
        IPv6Network,
        (
            "::/8",  # unspecified, loopback, and IPv4 addresses in their compatible, mapped and translated forms
            "64:ff9b::/96",  # NAT64: carries any IPv4 address
            "64:ff9b:1::/48",  # local NAT64, RFC 8215
            "100::/64",  # discard
            "2001::/23",  # IETF protocol assignments: Teredo 2001::/32, benchmarking, ORCHID
            "2001:db8::/32",  # documentation
            "2002::/16",  # 6to4: carries any IPv4 address
            "2620:4f:8000::/48",  # AS112
            "3ffe::/16",  # 6bone, returned
            "3fff::/20",  # documentation
            "5f00::/16",  # segment routing
            "fc00::/7",  # unique local; AWS metadata fd00:ec2::254
            "fe80::/10",  # link-local
            "fec0::/10",  # site-local
            "ff00::/8",  # multicast
        ),
    )
)
_GLOBAL_UNICAST_V6 = IPv6Network("2000::/3")
_LOOPBACK_V4 = IPv4Network("127.0.0.0/8")
_LOOPBACK_V6 = IPv6Address("::1")


def is_public(address: str | Address) -> bool:
    """True for an address of the open Internet. Text that is no plain IP address (a name, `0x7f000001`) is
    not public."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in network for network in NON_PUBLIC_V4)
    if found.scope_id is not None:  # it names one of our own interfaces
        return False
    return found in _GLOBAL_UNICAST_V6 and not any(found in network for network in NON_PUBLIC_V6)


def is_loopback(address: str) -> bool:
    """True for 127.0.0.0/8 and ::1, and for no form that carries one of them in another address."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    return found in _LOOPBACK_V4 if isinstance(found, IPv4Address) else found == _LOOPBACK_V6
