//! End-to-end tests against the real server, real chains and a real browser.
