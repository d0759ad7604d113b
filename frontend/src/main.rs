//! What Trunk builds: hands the page to [`frontend::start`].

fn main() {
    #[cfg(target_arch = "wasm32")]
    frontend::start();
}
