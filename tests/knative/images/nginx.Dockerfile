# In the place of nginx where no registry can be reached.
ARG BASE
FROM ${BASE}
RUN apt-get update -q && apt-get install -qy --no-install-recommends nginx-light curl
CMD ["nginx"]
