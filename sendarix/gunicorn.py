"""gunicorn's settings (`gunicorn -c python:sendarix.gunicorn sendarix.wsgi`). No access log: no token."""

import os
from pathlib import Path

bind = f"{os.environ.get('HOST', '127.0.0.1')}:{os.environ.get('PORT', '8000')}"
worker_class = "sendarix.web.worker.WholeRequestWorker"
workers = int(os.environ.get("WEB_WORKERS", "2"))
threads = int(os.environ.get("WEB_THREADS", "12"))
worker_connections = 1000
backlog = 1024
keepalive = 30
timeout = 60  # of the main loop's heartbeat; requests have deadlines of their own
graceful_timeout = 8
preload_app = True  # no connection is opened at import, so none is shared by the fork
sendfile = False
loglevel = "warning"
control_socket_disable = True
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
