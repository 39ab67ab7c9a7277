# The checks of this repository; `.ci/run` runs them all.

# Formatting, lints and documentation, with warnings denied
check:
    cargo fmt --all --check
    cargo fmt --manifest-path fuzz/Cargo.toml --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy -p dialbridge --no-default-features -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps

# All tests but the browser's
test:
    cargo test

# The tapes and core's tests in a WASI sandbox: the same bytes as here
wasi:
    .ci/wasi

# Google's and Twilio's own libraries against the lab and the service
interop:
    .ci/interop

# Replays the seeds of the fuzz targets, on the stable toolchain
fuzz-seeds:
    CARGO_TARGET_DIR=target cargo test --locked --manifest-path fuzz/Cargo.toml

# Fuzzes every target for so many seconds each, or those that are named: `just nightly 600 call`
nightly seconds="120" *targets:
    .ci/nightly {{seconds}} {{targets}}

# What no compiler checks: queues without a bound, output, hosts, paths, long files
rules:
    .ci/rules --self-test
    .ci/rules

# Licences, banned packages and sources of what this depends on; known faults where their database can be had
deny:
    .ci/deny

# The page in a headless Chromium; screenshots are in target/page
page:
    .ci/page

# The image: built with buildah over base images of this machine's files, and run; needs root on Debian
image-test:
    .ci/image

# One call through everything
demo:
    cargo run --release -- demo

# What the call logic and the audio cost for each frame
bench:
    cargo bench -p dialbridge-core

# What a frame costs through the whole service: instructions, allocations, writes (valgrind)
instructions:
    .ci/instructions

# Records the stories of tests/frames anew, and what must come of them
frames:
    cargo run -p dialbridge-tests --example record_frames
    UPDATE_GOLDEN=1 cargo test -p dialbridge-tests tapes

# Whether the audio filters' tables are those that the script makes
filters:
    python3 core/filters/make_filters.py --check
