# One image for every process: `docker run skirmish services.player serve`, see docker-compose.yml.

FROM python:3.11-slim AS base
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1 PIP_NO_INPUT=1 PIP_ROOT_USER_ACTION=ignore
WORKDIR /skirmish

# The stubs, with tools that stay behind. The lock of `make run` has them in the versions that fit the services.
FROM base AS stubs
COPY requirements/local.lock requirements/
RUN pip install --require-hashes -r requirements/local.lock
COPY protos protos
RUN python protos/build.py

# What the services need at run time and nothing else, not even pip.
FROM base AS environment
COPY requirements/service.lock requirements/
RUN python -m venv --without-pip /environment \
    && pip --python /environment/bin/python install --require-hashes -r requirements/service.lock

FROM base
RUN useradd --system --uid 10001 skirmish
COPY --from=environment /environment /environment
COPY --from=stubs /skirmish/skirmish skirmish
COPY services services
COPY gateway gateway
ENV PATH=/environment/bin:$PATH PYTHONUNBUFFERED=1
# Compiled now, since the processes may not write here.
RUN python -m compileall -q skirmish services gateway
# By number, so that an orchestrator can see that it is not root.
USER 10001
ENTRYPOINT ["python", "-m"]
