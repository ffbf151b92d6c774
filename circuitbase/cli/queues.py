"""The names of the queues, for commands that answer before celery is imported."""

QUEUES = ("trace", "ingest")
