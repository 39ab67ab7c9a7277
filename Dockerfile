# The service without its lab. Built by `gcloud run deploy --source .`.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p dialbridge --no-default-features

FROM debian:bookworm-slim
# Google's and Twilio's certificates are checked against these; without them, against those in the binary.
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/*
COPY --from=build /src/target/release/dialbridge /usr/local/bin/dialbridge
# By number, so that Kubernetes' runAsNonRoot can tell that it is not root. The service needs no entry in /etc/passwd, no
# home, no shell, and nowhere to write (readOnlyRootFilesystem) unless RECORD_DIR is set.
USER 65532:65532
WORKDIR /
ENV PORT=8080
EXPOSE 8080
# The service drains on it and leaves within 10 s.
STOPSIGNAL SIGTERM
ENTRYPOINT ["/usr/local/bin/dialbridge"]
CMD ["serve"]
