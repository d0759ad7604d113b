//! Parts that more than one page is made of.

mod address;
mod copy_button;
mod mark;
mod qr_code;
mod whole;

pub use address::address;
pub use copy_button::CopyButton;
pub use mark::{BLOCKS, CHECK, CLOCK, CROSS, Mark, WARNING, token_mark};
pub use qr_code::QrCode;
pub use whole::Whole;
