//! The one error body.

use serde::{Deserialize, Serialize};

/// `{"success":false,"error":{code,message,field?},"code":…,"message":…}`: the nested form, with the
/// older flat one beside it for clients that read only the top level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ErrorBody {
    /// Always `false`.
    pub success: bool,
    pub error: ErrorDetail,
    /// The same as `error.code`.
    pub code: String,
    /// The same as `error.message`.
    pub message: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(not(target_arch = "wasm32"), derive(utoipa::ToSchema))]
pub struct ErrorDetail {
    /// Stable; made for programs.
    pub code: String,
    /// A sentence made for people; may change.
    pub message: String,
    /// The field, header or parameter at fault, where there is one.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    #[cfg_attr(not(target_arch = "wasm32"), schema(nullable = false))]
    pub field: Option<String>,
}

impl ErrorBody {
    pub fn new(code: &str, message: &str, field: Option<&str>) -> Self {
        Self {
            success: false,
            error: ErrorDetail { code: code.to_owned(), message: message.to_owned(), field: field.map(str::to_owned) },
            code: code.to_owned(),
            message: message.to_owned(),
        }
    }
}
