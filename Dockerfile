# invspec on the cores of a CPU:
#
#   docker build --tag invspec .
#   docker run --rm --volume "$PWD:/work" --user "$(id -u)" invspec run quickstart
#
# torch comes with its CUDA libraries, several GB that a CPU does not need. An index of torch's CPU
# wheels leaves them out: --build-arg TORCH_INDEX=<index>.
FROM python:3.11.14-slim-bookworm AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY invspec invspec
COPY registry registry
COPY specs specs
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels .

FROM python:3.11.14-slim-bookworm
ARG TORCH_INDEX=""
LABEL org.opencontainers.image.title="invspec" \
      org.opencontainers.image.description="Is this classifier too sensitive, too invariant, or both?" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="MIT"
RUN PIP_EXTRA_INDEX_URL="$TORCH_INDEX" pip install --no-cache-dir torch==2.14.1 torchvision==0.29.1
COPY --from=wheel /wheels /wheels
RUN pip install --no-cache-dir /wheels/*.whl
RUN useradd --create-home --uid 10001 invspec \
    && mkdir /work /data \
    && chown invspec:invspec /work /data
# a user of another number, who has no home, can write there
ENV MPLCONFIGDIR=/tmp/matplotlib \
    INVSPEC_DATA=/data \
    INVSPEC_STORE=/work/store
USER 10001
WORKDIR /work
VOLUME ["/work", "/data"]
ENTRYPOINT ["invspec"]
CMD ["--help"]
