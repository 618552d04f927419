# The plugin's root file system: one static binary, FROM scratch. The build stage runs the same scripts/build-plugin
# that needs nothing but Go, so there is one recipe; a test holds the two outputs against each other.
#
# To a plugin (what scripts/build-plugin leaves in bin/plugin-amd64 right away):
#   docker build --build-arg VERSION=1.0.0 -t homelab-storage:rootfs .
#   mkdir -p bin/image/rootfs && cp config.json bin/image/
#   docker create --name extract homelab-storage:rootfs && docker export extract | tar -x -C bin/image/rootfs
#   docker plugin create homelab-storage bin/image
ARG GO_VERSION=1.26

FROM --platform=$BUILDPLATFORM golang:${GO_VERSION} AS build
ARG TARGETARCH
ARG VERSION=devel
WORKDIR /src
COPY go.mod go.sum ./
RUN go mod download
COPY . .
RUN VERSION=${VERSION} scripts/build-plugin ${TARGETARCH} && mv bin/plugin-* /out

FROM scratch
ARG VERSION=devel
LABEL org.opencontainers.image.title="homelab-storage" \
      org.opencontainers.image.description="Docker volume plugin: OCFS2 for databases, SMB3 for media, one driver" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.source="https://github.com/homelab-storage/homelab-storage" \
      org.opencontainers.image.version="${VERSION}"
COPY --from=build /out/rootfs/ /
ENTRYPOINT ["/homelab-storage"]
CMD ["serve"]
