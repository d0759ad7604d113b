//! Every code an error can have, with its status and what it means. They never change; new ones may come.

/// A code as clients read it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ErrorCode {
    pub name: &'static str,
    pub status: axum::http::StatusCode,
    /// For the description: what it means and what to do.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($name:ident = $status:ident, $meaning:literal;)*) => {
        pub mod code {
            use axum::http::StatusCode;

            use super::ErrorCode;

            $(pub const $name: ErrorCode =
                ErrorCode { name: stringify!($name), status: StatusCode::$status, meaning: $meaning };)*

            /// All of them, in the order of the list.
            pub const ALL: &[ErrorCode] = &[$($name),*];
        }
    };
}

codes! {
    VALIDATION_ERROR = BAD_REQUEST, "A field, header or parameter does not say what it should; `field` names it.";
    INVALID_AMOUNT_FORMAT = BAD_REQUEST, "`amount_usd` is not a number with at most three decimals.";
    INVALID_AMOUNT_RANGE = BAD_REQUEST, "`amount_usd` lies outside 0.01 to 1,000,000 dollars.";
    INVALID_CURSOR = BAD_REQUEST, "The id to start a page at is none of this list.";
    INVALID_EXPAND = BAD_REQUEST, "`expand` asks for something that cannot be shown.";
    IDEMPOTENCY_KEY_MISSING = BAD_REQUEST, "The header `Idempotency-Key` is required.";
    IDEMPOTENCY_KEY_INVALID = BAD_REQUEST, "`Idempotency-Key` is not a version 4 UUID.";
    TOKEN_NOT_AVAILABLE = BAD_REQUEST, "This token is not offered on this network.";
    NETWORK_LOCKED = BAD_REQUEST, "The first payment decided network and token; the rest must be paid in the same.";
    QUESTIONS_UNANSWERED = BAD_REQUEST, "The merchant's required questions come first: `GET /api/v1/payments/invoice-questions`.";
    INVOICE_ALREADY_PAID = BAD_REQUEST, "The invoice is paid; nothing about it can change.";
    INVOICE_CANCELED = BAD_REQUEST, "The invoice was canceled; nothing about it can change.";
    UNKNOWN_NETWORK = BAD_REQUEST, "This server has no such network; `GET /api/v1/merchant/networks` lists those it has.";
    RPC_ENDPOINT_UNFIT = BAD_REQUEST, "The node is not on the network's chain, or does not answer as a node does.";
    API_KEY_MISSING = UNAUTHORIZED, "There is no key in `x-api-key`.";
    API_KEY_INVALID = UNAUTHORIZED, "No such key exists.";
    API_KEY_REVOKED = UNAUTHORIZED, "The key was revoked.";
    SESSION_INVALID = UNAUTHORIZED, "The session's credentials are missing or do not belong together.";
    SESSION_EXPIRED = UNAUTHORIZED, "The session has ended.";
    WS_TOKEN_INVALID = UNAUTHORIZED, "The stream token is none, or what asked for it opens nothing any more.";
    WS_TOKEN_EXPIRED = UNAUTHORIZED, "The stream token has expired; ask for a new one.";
    DASHBOARD_TOKEN_MISSING = UNAUTHORIZED, "There is no dashboard token in `Authorization: Bearer`.";
    DASHBOARD_TOKEN_INVALID = UNAUTHORIZED, "No such dashboard token exists.";
    DASHBOARD_TOKEN_REVOKED = UNAUTHORIZED, "The dashboard token was revoked.";
    DASHBOARD_TOKEN_EXPIRED = UNAUTHORIZED, "The dashboard token has expired.";
    API_KEY_SUSPENDED = FORBIDDEN, "The key is suspended.";
    API_KEY_EXPIRED = FORBIDDEN, "The key has expired.";
    API_KEY_LIMIT = FORBIDDEN, "There are as many active keys of this scope as there may be.";
    WEBHOOK_LIMIT_REACHED = FORBIDDEN, "There are as many webhook endpoints as there may be.";
    ENVIRONMENT_FORBIDDEN = FORBIDDEN, "The key is for the other environment.";
    RIGHT_REQUIRED = FORBIDDEN, "The credential does not have the right this takes.";
    SCOPE_FORBIDDEN = FORBIDDEN, "The credential is good, but not for this.";
    ORIGIN_FORBIDDEN = FORBIDDEN, "Pages of this origin may not open the stream.";
    MAINNET_NOT_ENABLED = FORBIDDEN, "This server is a devnet server, by its configuration.";
    NOT_FOUND = NOT_FOUND, "There is nothing at this address.";
    INVOICE_NOT_FOUND = NOT_FOUND, "There is no such invoice, or it is somebody else's.";
    VERIFICATION_NOT_FOUND = NOT_FOUND, "Nobody has asked to have a payment of this invoice looked for.";
    TRANSACTION_NOT_FOUND = NOT_FOUND, "The transaction brought nothing to the invoice's wallet that belongs to no invoice.";
    EVENT_NOT_FOUND = NOT_FOUND, "There is no such event, or it is somebody else's.";
    WEBHOOK_NOT_FOUND = NOT_FOUND, "There is no such webhook endpoint, or it is somebody else's.";
    DELIVERY_NOT_FOUND = NOT_FOUND, "This event was never sent to this webhook endpoint.";
    API_KEY_NOT_FOUND = NOT_FOUND, "There is no such key, or it is somebody else's.";
    MERCHANT_NOT_FOUND = NOT_FOUND, "There is no such merchant any more.";
    TOKEN_NOT_FOUND = NOT_FOUND, "This server has no such token.";
    WALLET_NOT_FOUND = NOT_FOUND, "There is no such wallet, or it is somebody else's.";
    RPC_ENDPOINT_NOT_FOUND = NOT_FOUND, "There is no such node, or somebody else added it.";
    METHOD_NOT_ALLOWED = METHOD_NOT_ALLOWED, "This address does not take this method.";
    IDEMPOTENCY_CONFLICT = CONFLICT, "This `Idempotency-Key` was used for another request.";
    API_KEY_ALREADY_CREATED = CONFLICT, "This request has created its key before, and a secret is shown once.";
    WEBHOOK_DISABLED = CONFLICT, "The webhook endpoint is not active.";
    QUESTIONS_ANSWERED = CONFLICT, "The merchant's questions have been answered, and are answered once.";
    INVOICE_HAS_PAYMENTS = CONFLICT, "Money for the invoice has arrived or is arriving, so it cannot be called off.";
    INVOICE_HAS_OWN_ADDRESS = CONFLICT, "Payments of the invoice come to an address of its own, so none has to be assigned.";
    TRANSACTION_ATTACHED = CONFLICT, "The payment counts towards another invoice already.";
    TRANSACTION_AMBIGUOUS = CONFLICT, "The transaction brought several payments, which are named; `payment_id` says which is meant.";
    WALLET_CHANGE_PENDING = CONFLICT, "Another change of wallets is scheduled; cancel it first.";
    WALLET_CHANGE_TOO_LATE = CONFLICT, "The wallet is or was in force; only a scheduled change can be canceled.";
    ENVIRONMENT_FIXED = CONFLICT, "This server is a mainnet server, by its configuration.";
    RPC_ENDPOINT_EXISTS = CONFLICT, "The network has this node already.";
    RPC_ENDPOINT_LIMIT = CONFLICT, "The network has as many added nodes as it may have.";
    INVOICE_EXPIRED = GONE, "The invoice has expired; nothing about it can change.";
    REQUEST_TIMEOUT = REQUEST_TIMEOUT, "The body took too long to arrive.";
    URL_TOO_LONG = URI_TOO_LONG, "Path and query are longer than this server accepts.";
    HEADERS_TOO_LARGE = REQUEST_HEADER_FIELDS_TOO_LARGE, "The headers are more or larger than this server accepts.";
    BODY_TOO_LARGE = PAYLOAD_TOO_LARGE, "The body is larger than this server accepts.";
    UNSUPPORTED_MEDIA_TYPE = UNSUPPORTED_MEDIA_TYPE, "The body must be sent as `Content-Type: application/json`.";
    UPGRADE_REQUIRED = UPGRADE_REQUIRED, "This address speaks WebSocket only.";
    RATE_LIMITED = TOO_MANY_REQUESTS, "Too many requests; try again after as many seconds as `Retry-After` says.";
    INTERNAL_SERVER_ERROR = INTERNAL_SERVER_ERROR, "Something went wrong on our side; it is safe to try again.";
    NOT_IMPLEMENTED = NOT_IMPLEMENTED, "This server has no commerce API.";
    NETWORK_UNREACHABLE = SERVICE_UNAVAILABLE, "The server's own nodes of the network do not answer; try again later.";
    TIMEOUT = SERVICE_UNAVAILABLE, "The request took too long; it is safe to repeat it with the same idempotency key.";
}

/// The names of codes, for the description of a handler: `codes![INVOICE_NOT_FOUND, INVALID_EXPAND]`.
macro_rules! codes_of {
    ($($name:ident),* $(,)?) => { [$($crate::http::error_codes::code::$name.name),*] };
}
pub(crate) use codes_of as codes;

impl ErrorCode {
    /// The code of that name.
    pub fn named(name: &str) -> Option<Self> {
        code::ALL.iter().copied().find(|code| code.name == name)
    }
}
