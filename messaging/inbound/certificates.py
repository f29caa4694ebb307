"""The relay's certificate: the configured files, or on a development machine a self-signed one, made once and kept in
SENDARIX_HOME. What it names is this machine; nobody but its owner can trust it."""

import ipaddress
import os
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

LIFE = timedelta(days=3650)
NAMES = ("localhost", "relay.sendarix.test")


def context() -> ssl.SSLContext | None:
    """TLS 1.2 or newer for the server side; None in production without RELAY_CERTIFICATE, where no AUTH is offered then.
    Raises ImproperlyConfigured when the files can't be used."""
    certificate, key = settings.RELAY_CERTIFICATE, settings.RELAY_KEY
    if not certificate and not settings.DEVELOPMENT:
        return None
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    made.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    try:
        if certificate:
            made.load_cert_chain(certificate, key or None)
        else:
            made.load_cert_chain(self_signed(settings.HOME))
    except (OSError, ssl.SSLError) as error:
        raise ImproperlyConfigured(f"RELAY_CERTIFICATE and RELAY_KEY can't be used: {error}") from error
    return made


def self_signed(home: Path) -> Path:
    """The PEM file with key and certificate; made on the first call, by one of several processes."""
    path = home / "relay.pem"
    if path.exists():
        return path
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    aside = home / f".relay.{os.getpid()}.pem"
    descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(_pem())
    try:
        os.link(aside, path)
    except FileExistsError:
        pass  # another process was faster; its file is whole
    finally:
        aside.unlink()
    return path


def _pem() -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Sendarix relay (development)")])
    now = datetime.now(UTC)
    hosts = [x509.DNSName(host) for host in NAMES]
    addresses = [x509.IPAddress(ipaddress.ip_address(host)) for host in ("127.0.0.1", "::1")]
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .add_extension(x509.SubjectAlternativeName([*hosts, *addresses]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )
    plain = serialization.NoEncryption()
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain)
    return private + certificate.public_bytes(serialization.Encoding.PEM)
