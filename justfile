# The checks and measurements of this repository; `.ci/run` runs every check that must pass before a change lands.

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

# The tapes and core's tests in a WASI sandbox: must give the same bytes as here
wasi:
    .ci/wasi

# Google's and Twilio's own libraries against the lab and the service
interop:
    .ci/interop

# Replays the seeds of the fuzz targets on the stable toolchain
fuzz-seeds:
    CARGO_TARGET_DIR=target cargo test --locked --manifest-path fuzz/Cargo.toml

# Fuzzes every target, or the named ones, for that many seconds each: `just nightly 600 call`
nightly seconds="120" *targets:
    .ci/nightly {{seconds}} {{targets}}

# Searches for what no compiler checks: unbounded queues, output, hosts, paths, long files
rules:
    .ci/rules --self-test
    .ci/rules

# Checks the dependencies' licences, bans and sources, and known faults if their database is available
deny:
    .ci/deny

# Tests the page in a headless Chromium; screenshots are in target/page
page:
    .ci/page

# Builds the image with buildah over base images of this machine's files, and runs it; needs root on Debian
image-test:
    .ci/image

# One call through everything
demo:
    cargo run --release -- demo

# The cost of the call logic and the audio for each frame
bench:
    cargo bench -p dialbridge-core

# Voice detectors, the end of an utterance and barge-in over recorded speech; installs Debian's prompts for Asterisk
turn-taking *arguments:
    .ci/turn-taking {{arguments}}

# The cost of a frame through the whole service: instructions, allocations, writes (valgrind)
instructions:
    .ci/instructions

# Records the stories of tests/frames and their expected output again
frames:
    cargo run -p dialbridge-tests --example record_frames
    UPDATE_GOLDEN=1 cargo test -p dialbridge-tests tapes
