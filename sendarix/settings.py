"""Every setting of every process, read from the environment once (docs/operations.md lists the variables)."""

import os
import secrets
from base64 import urlsafe_b64encode
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from django.core.exceptions import ImproperlyConfigured

from sendarix import postgres
from sendarix.core import ladders, vault

env = environ.Env()

BASE_DIR = Path(__file__).resolve().parent.parent
HOME = Path(env.str("SENDARIX_HOME", default=str(BASE_DIR / "var"))).resolve()
DEVELOPMENT = env.str("SENDARIX_ENV", default="development") == "development"
DEBUG = False


def made_once(name: str, make: Callable[[], str] = lambda: secrets.token_urlsafe(48)) -> str:
    """A secret made on the first development run and kept in SENDARIX_HOME; production must name its own."""
    if not DEVELOPMENT:
        raise ImproperlyConfigured(f"{name} is required when SENDARIX_ENV is not 'development'")
    path = HOME / name.lower()
    try:
        return path.read_text()
    except FileNotFoundError:
        HOME.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        value = make()
        file.write(value)
    return value


SECRET_KEY = env.str("SECRET_KEY", default="") or made_once("SECRET_KEY")
SECRET_KEY_FALLBACKS = env.list("SECRET_KEY_FALLBACKS", default=[])
ENCRYPTION_KEYS = vault.parse(
    env.str("SENDARIX_ENCRYPTION_KEYS", default="")
    or made_once("SENDARIX_ENCRYPTION_KEYS", lambda: f"1:{urlsafe_b64encode(secrets.token_bytes(32)).decode()}")
)

PORT = env.int("PORT", default=8000)
PUBLIC_URL = env.str("SENDARIX_PUBLIC_URL", default=f"http://127.0.0.1:{PORT}").rstrip("/")  # of links in mails
ALLOWED_HOSTS = env.list("ALLOWED_HOSTS", default=["localhost", "127.0.0.1", "[::1]"] if DEVELOPMENT else [])

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_htmx",
    "django_otp",
    "django_otp.plugins.otp_static",
    "django_otp.plugins.otp_totp",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "django_q",
    "sendarix",
    "sendarix.accounts",
    "suppressions",
    "messaging",
    "webhooks",
    "analytics",
    "sendarix.dashboard",
]

MIDDLEWARE = [
    "sendarix.accounts.edge.ApiEdge",
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "sendarix.dashboard.middleware.Policy",
    "sendarix.dashboard.middleware.Session",
    "sendarix.dashboard.language.LanguageMiddleware",
    "django.middleware.common.CommonMiddleware",
    "sendarix.dashboard.middleware.Discretion",
    "sendarix.dashboard.middleware.Csrf",
    "sendarix.dashboard.middleware.Authentication",
    "sendarix.dashboard.middleware.SecondFactor",
    "sendarix.dashboard.middleware.Messages",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "sendarix.dashboard.middleware.Htmx",
    "sendarix.dashboard.middleware.LockOut",
]

SILENCED_SYSTEM_CHECKS = ["axes.W002"]  # its middleware is there, as sendarix.dashboard.middleware.LockOut

AUTH_USER_MODEL = "accounts.User"
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL, LOGIN_REDIRECT_URL, LOGOUT_REDIRECT_URL = "login", "home", "login"
PASSWORD_RESET_TIMEOUT = 3600
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = PUBLIC_URL.startswith("https://")
CSRF_TRUSTED_ORIGINS = ["{0.scheme}://{0.netloc}".format(urlsplit(PUBLIC_URL))]  # a proxy may end TLS before us
SESSION_COOKIE_AGE = 14 * 24 * 3600
ADMIN_PATH = env.str("SENDARIX_ADMIN_PATH", default="operator/admin").strip("/")  # Django's own, for operators

AXES_FAILURE_LIMIT = 8
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_USERNAME_FORM_FIELD = "username"
AXES_CLIENT_IP_CALLABLE = "sendarix.dashboard.access.guessing_from"
AXES_USERNAME_CALLABLE = "sendarix.dashboard.access.guessed_at"
AXES_RESET_ON_SUCCESS = True
AXES_VERBOSE = False
AXES_LOCKOUT_CALLABLE = "sendarix.dashboard.access.locked_out"
OTP_TOTP_ISSUER = "Sendarix"

CONTENT_SECURITY_POLICY = {
    "EXCLUDE_URL_PREFIXES": ["/v1/", "/docs/api", "/u/", "/hooks/"],
    "DIRECTIVES": {
        "default-src": ["'self'"],
        "img-src": ["'self'", "data:"],
        "object-src": ["'none'"],
        "base-uri": ["'none'"],
        "form-action": ["'self'"],
        "frame-ancestors": ["'self'"],
    },
}

ROOT_URLCONF = "sendarix.urls"
WSGI_APPLICATION = "sendarix.wsgi.application"
APPEND_SLASH = False
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
LANGUAGE_CODE = "en"
LANGUAGES = [("en", "English"), ("ko", "한국어")]
LOCALE_PATHS = [BASE_DIR / "locale"]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
STATIC_URL = "/static/"
STATIC_ROOT = env.str("STATIC_ROOT", default="" if DEVELOPMENT else str(BASE_DIR / "staticfiles")) or None
STATICFILES_DIRS = [BASE_DIR / "static"]
WHITENOISE_USE_FINDERS = DEVELOPMENT

DATABASE_URL = env.str("DATABASE_URL", default="") or postgres.url(HOME)
DATABASES = {"default": environ.Env.db_url_config(DATABASE_URL)}
DATABASES["default"]["CONN_MAX_AGE"] = None
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 5)

STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": HOME / "files"}},
    "attachments": {
        "BACKEND": "messaging.content.DurableFileSystemStorage",
        "OPTIONS": {"location": HOME / "attachments"},
    },
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}

WEB_THREADS = env.int("WEB_THREADS", default=12)  # of a web process, as sendarix.gunicorn has it
MAX_BODY_BYTES = 50 * 1024 * 1024
DATA_UPLOAD_MAX_MEMORY_SIZE = None  # the API checks MAX_BODY_BYTES itself and answers 413 in its own shape

REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [],
    "DEFAULT_PERMISSION_CLASSES": [],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "UNAUTHENTICATED_USER": None,
    "UNAUTHENTICATED_TOKEN": None,
    "DEFAULT_SCHEMA_CLASS": "sendarix.accounts.schema.ApiSchema",
}

SPECTACULAR_SETTINGS = {
    "TITLE": "Sendarix API",
    "VERSION": "1",
    "OAS_VERSION": "3.1.1",
    "POSTPROCESSING_HOOKS": [],
}

DELIVERY_PROCESSES = env.int("SENDARIX_DELIVERY_PROCESSES", default=2)
DRAIN_BUDGET = env.float("SENDARIX_DRAIN_BUDGET", default=8.0)

WEBHOOK_PROCESSES = env.int("SENDARIX_WEBHOOK_PROCESSES", default=1)

Q_CLUSTER = {
    "name": "delivery",
    "ALT_CLUSTERS": {"webhooks": {"workers": WEBHOOK_PROCESSES, "queue_limit": WEBHOOK_PROCESSES}},
    "orm": "default",
    "broker_class": "sendarix.core.jobs.Broker",
    "workers": DELIVERY_PROCESSES,
    "bulk": 1,
    "queue_limit": DELIVERY_PROCESSES,
    "poll": 1,
    "save_limit": -1,
    "ack_failures": True,
    "max_attempts": 1,
    "timeout": 1800,
    "retry": 2000,
    "recycle": 500,
    "catch_up": False,
    "scheduler": False,
    "label": "Jobs",
}

DEFAULT_ROUTE = env.str("SENDARIX_DEFAULT_ROUTE", default="inbox:" if DEVELOPMENT else "mx:")
RETRY_LADDER = ladders.parse(env.str("SENDARIX_RETRY_LADDER", default="30,300,1800,7200,18000"))
BREAKER_REST = env.float("SENDARIX_BREAKER_REST", default=30.0)  # seconds; doubles, to 30 times; 0: no breakers
WEBHOOK_LADDER = ladders.parse(env.str("SENDARIX_WEBHOOK_LADDER", default="5,300,1800,7200,18000,36000,36000"))
WEBHOOK_TIMEOUT = env.float("SENDARIX_WEBHOOK_TIMEOUT", default=15.0)  # seconds one POST may take, all in all
WEBHOOK_PATIENCE = timedelta(days=env.float("SENDARIX_WEBHOOK_PATIENCE", default=5.0))  # failures only: disabled
WEBHOOK_ALLOW_LOOPBACK = env.bool("SENDARIX_WEBHOOK_ALLOW_LOOPBACK", default=DEVELOPMENT)  # and http
TEST_CLOCK = env.float("SENDARIX_TEST_CLOCK", default=3600.0)  # test-key waits are divided by this
DNS_SERVERS = [urlsplit(f"//{item}") for item in env.list("SENDARIX_DNS", default=[])]
BOUNCE_DOMAIN = env.str(
    "SENDARIX_BOUNCE_DOMAIN", default="bounces.sendarix.test" if DEVELOPMENT else ""
)  # our bounce host
SENDER_POLICY = env.str(
    "SENDARIX_SENDER_POLICY", default="registered" if DEVELOPMENT else "verified"
)  # of new accounts
SPF_INCLUDE = env.str(
    "SENDARIX_SPF_INCLUDE", default=f"spf.{BOUNCE_DOMAIN}" if BOUNCE_DOMAIN else ""
)  # what customers' SPF records include
PLATFORM_ACCOUNT = env.str("SENDARIX_PLATFORM_ACCOUNT", default="sendarix")  # slug: whose mails to customers are
PLATFORM_SENDER = env.str(
    "SENDARIX_PLATFORM_SENDER", default="Sendarix <no-reply@notices.sendarix.test>" if DEVELOPMENT else ""
)  # of these mails; its domain belongs to that account
SUPPRESSION_EXPIRY = env.dict(
    "SENDARIX_SUPPRESSION_EXPIRY", cast={"value": int}, default={}
)  # days by reason (`hard_bounce=365`); 0 or unsaid: for ever
RELAY_HOST = env.str("RELAY_HOST", default="127.0.0.1" if DEVELOPMENT else "0.0.0.0")
RELAY_PORT = env.int("RELAY_PORT", default=2525)  # SMTP with STARTTLS, and the door for bounces; 0: not listened on
RELAY_TLS_PORT = env.int("RELAY_TLS_PORT", default=2465)  # SMTP under TLS from the first octet; 0: not listened on
RELAY_NAME = env.str("RELAY_NAME", default="")  # what the relay calls itself; without it SENDARIX_HELO or the host
RELAY_CERTIFICATE = env.str("RELAY_CERTIFICATE", default="")  # PEM chain
RELAY_KEY = env.str("RELAY_KEY", default="")  # PEM; without it the key is in RELAY_CERTIFICATE
RELAY_PLAINTEXT_AUTH = env.str("RELAY_PLAINTEXT_AUTH", default="loopback" if DEVELOPMENT else "never")  # or "never"
RELAY_CONNECTIONS = env.int("RELAY_CONNECTIONS", default=500)
RELAY_CONNECTIONS_PER_ADDRESS = env.int("RELAY_CONNECTIONS_PER_ADDRESS", default=50)
RELAY_RECIPIENTS = env.int("RELAY_RECIPIENTS", default=500)  # of one mail
RELAY_HELD_BYTES = env.int("RELAY_HELD_BYTES", default=256 * 1024 * 1024)  # of all mails being received
RELAY_THREADS = env.int("RELAY_THREADS", default=4)  # each with a connection to the database
RELAY_AUTH_DELAY = env.float("RELAY_AUTH_DELAY", default=0.5)  # seconds before the first 535, doubled each time
RELAY_IDLE_SECONDS = env.float("RELAY_IDLE_SECONDS", default=120.0)  # without a command
RELAY_AUTH_SECONDS = env.float("RELAY_AUTH_SECONDS", default=60.0)  # from the connection to AUTH or to a bounce's DATA
RELAY_DATA_SECONDS = env.float("RELAY_DATA_SECONDS", default=600.0)  # for one mail's octets
RELAY_SESSION_SECONDS = env.float("RELAY_SESSION_SECONDS", default=3600.0)
HELO_NAME = env.str("SENDARIX_HELO", default="")
ROUTE_ALLOW_PRIVATE = env.bool("SENDARIX_ROUTE_ALLOW_PRIVATE", default=DEVELOPMENT)  # customers' routes to inner hosts
INBOX_PAGE = env.bool("SENDARIX_INBOX_PAGE", default=DEVELOPMENT)
QUEUE_LIMIT = env.int("SENDARIX_QUEUE_LIMIT", default=5_000_000)  # waiting messages; above it POST answers 503
TRUSTED_PROXIES = env.list("SENDARIX_TRUSTED_PROXIES", default=[])  # networks whose X-Forwarded-For counts; "unix"
RATE_LIMIT_STANDARD = 1_000
RATE_LIMIT_ENTERPRISE = env.int("SENDARIX_RATE_LIMIT_ENTERPRISE", default=60_000)
RATE_LIMIT_UNKNOWN = env.int("SENDARIX_RATE_LIMIT_UNKNOWN", default=300)  # per source address, no valid key

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "line"}},
    "loggers": {
        "axes": {"level": "WARNING"},
        "django-q": {"level": "WARNING"},
        "mail.log": {"level": "CRITICAL"},  # aiosmtpd's: it quotes what clients say, passwords in the wrong place too
    },
    "root": {"handlers": ["stderr"], "level": env.str("SENDARIX_LOG_LEVEL", default="INFO")},
}
