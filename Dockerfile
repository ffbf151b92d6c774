# A worker: docker compose builds it for the trace and ingest queues.
FROM python:3.11-slim

RUN useradd --create-home --uid 1000 circuitbase \
    && mkdir -p /data/store /data/models \
    && chown -R circuitbase /data
# models from the hub are kept in the volume
ENV HF_HOME=/data/models PIP_NO_CACHE_DIR=1 PYTHONUNBUFFERED=1

WORKDIR /app
COPY pyproject.toml README.md LICENSE ./
COPY circuitbase ./circuitbase
RUN pip install '.[trace]'

USER circuitbase
ENTRYPOINT ["circuitbase"]
CMD ["worker"]
