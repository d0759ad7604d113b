//! Parts that more than one page is made of.

mod address;
mod copy_button;
mod mark;
mod qr_code;
mod whole;

pub use address::address;
pub use copy_button::copy_button;
pub use mark::{CHECK, CLOCK, CROSS, Mark, WARNING, mark, network_mark, token_mark};
pub use qr_code::{late_qr_code, qr_code};
pub use whole::Whole;
