"""The application where Celery's own commands look for one: `celery -A circuitbase.workers.celery_app flower`.

Nothing of circuitbase imports it, since it reads the settings when it is imported.
"""

from circuitbase.settings import load_settings
from circuitbase.workers.application import application

app = application(load_settings())
