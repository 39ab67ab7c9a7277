# The service without its lab. Built by `gcloud run deploy --source .`.
FROM rust:1.95-slim-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --locked --release -p dialbridge --no-default-features

FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --no-create-home dialbridge
COPY --from=build /src/target/release/dialbridge /usr/local/bin/dialbridge
USER dialbridge
ENV PORT=8080
EXPOSE 8080
ENTRYPOINT ["/usr/local/bin/dialbridge"]
CMD ["serve"]
