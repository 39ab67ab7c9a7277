# The service without its lab. `gcloud run deploy --source .`, `gcloud app deploy` and cloudbuild.yaml build it. `just
# image-test` builds it on this machine and runs the result.
#
# The build image and the run image. The run image has glibc, certificates and nothing else, not even a shell. Both are
# of the same Debian release (trixie is 13), so the program finds the glibc that it was linked with.
ARG BUILD_IMAGE=rust:1.95-slim-trixie
ARG RUN_IMAGE=gcr.io/distroless/cc-debian13:nonroot

# Builds the dependencies from the manifests alone, so this layer stays valid until a manifest changes. Cargo wants a
# source for each member of the workspace; the empty ones are removed before the real ones are copied.
FROM ${BUILD_IMAGE} AS deps
WORKDIR /src
COPY Cargo.toml Cargo.lock ./
COPY agents/Cargo.toml agents/
COPY cli/Cargo.toml cli/
COPY core/Cargo.toml core/
COPY lab/Cargo.toml lab/
COPY net/Cargo.toml net/
COPY runner/Cargo.toml runner/
COPY tests/Cargo.toml tests/
RUN mkdir -p agents/src cli/src core/src core/benches lab/src net/src runner/src tests/support \
    && touch core/benches/audio.rs core/benches/call.rs tests/support/lib.rs \
    && touch agents/src/lib.rs cli/src/lib.rs core/src/lib.rs lab/src/lib.rs net/src/lib.rs runner/src/lib.rs \
    && echo 'fn main() {}' > cli/src/main.rs \
    && cargo build --locked --profile image -p dialbridge --no-default-features \
    && cargo clean --locked --profile image -p dialbridge -p dialbridge-agents -p dialbridge-core -p dialbridge-net -p dialbridge-runner \
    && rm -r agents cli core lab net runner tests

FROM deps AS build
COPY . .
RUN cargo build --locked --profile image -p dialbridge --no-default-features

FROM ${RUN_IMAGE}
COPY --from=build /src/target/image/dialbridge /usr/local/bin/dialbridge
# A number, so that Kubernetes' runAsNonRoot can see that the user is not root. The service needs no entry in
# /etc/passwd, no home and no shell. It needs nowhere to write (readOnlyRootFilesystem) unless RECORD_DIR is set.
USER 65532:65532
WORKDIR /
ENV PORT=8080
# Memory of long answers goes back to the system at once. glibc would keep it for the next one.
ENV MALLOC_MMAP_THRESHOLD_=262144
# The heap in large pages, where the system has them: a tenth less CPU (docs/performance.md).
ENV GLIBC_TUNABLES=glibc.malloc.hugetlb=1
EXPOSE 8080
# On SIGTERM the service drains and exits within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/dialbridge"]
CMD ["serve"]
