//! Local chains and a demo shop, used by `cargo xtask demo` and by the end-to-end tests.
