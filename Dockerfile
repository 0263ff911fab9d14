# SPDX-License-Identifier: MIT
# The build environment as an image: the packages of environment/packages on Debian 13.
FROM debian:trixie
COPY environment/packages /tmp/packages
RUN apt-get update \
 && sed 's/#.*//' /tmp/packages | xargs apt-get install -y --no-install-recommends \
 && rm -rf /var/lib/apt/lists/* /tmp/packages
# The caches are worth a volume: -v auklet-cache:/cache
ENV AUKLET_CACHE=/cache
WORKDIR /auklet
