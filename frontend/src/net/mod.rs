//! How the page follows its payment: any push means "fetch again", and polling takes over where pushes stop.

mod backoff;
mod frame;
mod http;
mod live;
mod pace;
mod socket;

pub use http::choose;
pub use live::follow;
