"""The queue: job records in Redis, Celery tasks that trace and store, and what submits to them."""
