//! What a terminal can show.

/// Whether the terminal can move its cursor and erase lines.
pub(crate) fn can_draw() -> bool {
    std::env::var_os("TERM").is_some_and(|term| !term.is_empty() && term != "dumb")
}
