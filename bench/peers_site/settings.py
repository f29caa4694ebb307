"""One settings file for both peers; their rows lie in a database of their own on the bench's server."""

import os

SECRET_KEY = "bench"
USE_TZ = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
INSTALLED_APPS = ["django.contrib.contenttypes", "post_office", "mailer"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": "peers",
        "USER": "sendarix",
        "HOST": os.environ["PEERS_DATABASE_HOST"],
        "CONN_MAX_AGE": None,
    }
}
TEMPLATES = [{"BACKEND": "django.template.backends.django.DjangoTemplates", "APP_DIRS": True}]
EMAIL_HOST = "127.0.0.1"
EMAIL_PORT = int(os.environ["PEERS_SMTP_PORT"])
EMAIL_BACKEND = "mailer.backend.DbBackend"
MAILER_EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
MAILER_EMAIL_MAX_BATCH = None
POST_OFFICE = {
    "BACKENDS": {"default": "django.core.mail.backends.smtp.EmailBackend"},
    "BATCH_SIZE": 5_000,
    "THREADS_PER_PROCESS": 10,
    "LOG_LEVEL": 1,
    "MAX_RETRIES": 0,
}
LOGGING_CONFIG = None
