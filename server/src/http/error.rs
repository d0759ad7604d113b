//! The one place where an error becomes a status, a stable code and a sentence.
//!
//! Causes of failures that are ours go to the log here, once; clients never see them.

use std::error::Error;

use axum::{
    Json,
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use domain::{access::Right, id::ApiKeyId, invoice::InvoiceStatus};
use wire::{Environment, error::ErrorBody, money::AmountError};

use super::error_codes::{ErrorCode, code};
use crate::{
    invoicing::{
        AddressError, AnswerError, AttachError, CancelError, CreateError, EmailError, QuoteError, VerifyError,
    },
    keys::IssueError,
    limits::Policy,
    merchants::{RpcEndpointError, TokenError, WalletError},
    session::SessionError,
    store::{StoreError, UnattributedRecord},
    webhooks::EndpointError,
};

/// Why a request was not done.
#[derive(Debug)]
pub enum ApiError {
    NotFound,
    MethodNotAllowed,
    /// Part of the API that this server does not have.
    NotImplemented,
    Timeout,
    ApiKeyMissing,
    ApiKeyInvalid,
    ApiKeyRevoked,
    ApiKeySuspended,
    ApiKeyExpired,
    /// The key is for the other environment.
    ForeignEnvironment {
        server: Environment,
    },
    /// A key of commerce scope where one of merchant scope is needed.
    CommerceKey,
    /// The credential lacks a right that the operation takes: any one of these would do.
    RightRequired {
        any_of: &'static [Right],
    },
    /// The credential lacks a right that this field takes.
    RightRequiredBy {
        field: String,
        right: Right,
    },
    DashboardTokenMissing,
    DashboardTokenInvalid,
    DashboardTokenRevoked,
    DashboardTokenExpired,
    /// Keys cannot do this, whatever their rights.
    DashboardOnly,
    ApiKeyNotFound,
    /// There are as many active keys of the scope as may be.
    ApiKeyLimit {
        most: u32,
    },
    /// The request was done before, and a secret is shown once.
    ApiKeyAlreadyCreated(ApiKeyId),
    IdempotencyKeyMissing,
    IdempotencyKeyInvalid,
    IdempotencyConflict,
    Amount(AmountError),
    /// A field, header or parameter that does not say what it should.
    Invalid {
        field: String,
        message: String,
    },
    /// A body that is no JSON at all.
    BrokenJson(String),
    UnsupportedMediaType,
    BodyTooLarge,
    /// The client took too long to send it.
    BodyTimeout,
    UrlTooLong,
    HeadersTooLarge,
    InvalidExpand(String),
    /// The id to start a page at is none of this list.
    InvalidCursor {
        field: &'static str,
    },
    InvoiceNotFound,
    VerificationNotFound,
    TransactionNotFound,
    TransactionAttached,
    /// The transaction brought these.
    TransactionAmbiguous(String),
    InvoiceHasOwnAddress,
    EventNotFound,
    WebhookNotFound,
    /// The event was never sent to this endpoint.
    DeliveryNotFound,
    /// The merchant has as many endpoints as it may have.
    WebhookLimitReached(usize),
    /// The endpoint is not active.
    WebhookDisabled,
    SessionInvalid,
    SessionExpired,
    /// The session is for another invoice than the request names.
    ForeignInvoice,
    /// The query's `token` opens no stream.
    StreamTokenInvalid,
    StreamTokenExpired,
    /// The query's `token` opens no merchant's stream, or what it was asked for with does not any more.
    WsTokenInvalid,
    WsTokenExpired,
    /// The page that asks, as the browser says, may not follow this.
    OriginForbidden,
    /// As many streams are open as may be.
    TooManyStreams {
        retry_after_seconds: i64,
    },
    /// The address is for sockets only.
    UpgradeRequired,
    TokenNotAvailable {
        field: &'static str,
    },
    TokenNotFound,
    /// There is no such network, or this server does not have it.
    UnknownNetwork {
        field: String,
    },
    MerchantNotFound,
    WalletNotFound,
    WalletChangePending,
    WalletChangeTooLate,
    /// The devnet server was asked for real money.
    MainnetNotEnabled,
    /// The mainnet server was asked for test money.
    EnvironmentFixed,
    RpcEndpointNotFound,
    RpcEndpointExists,
    RpcEndpointLimit,
    /// The endpoint is not on the network's chain, or does not answer as a node does.
    RpcEndpointUnfit(String),
    /// The operator's own endpoints do not answer.
    NetworkUnreachable,
    NetworkLocked,
    QuestionsUnanswered,
    QuestionsAnswered,
    InvoiceExpired,
    InvoiceAlreadyPaid,
    InvoiceCanceled,
    /// Money for it was seen, so it cannot be called off.
    InvoiceHasPayments,
    /// Too much of something; less of it later is fine.
    RateLimited {
        retry_after_seconds: i64,
    },
    /// More requests than a limit allows.
    TooManyRequests {
        limit: Policy,
        retry_after_seconds: i64,
    },
    Internal(Box<dyn Error + Send + Sync>),
}

/// The field or parameter is at fault, and this is what it should be.
pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> ApiError {
    ApiError::Invalid { field: field.into(), message: message.into() }
}

impl ApiError {
    pub fn internal(cause: impl Error + Send + Sync + 'static) -> Self {
        Self::Internal(Box::new(cause))
    }

    /// An invoice that stands like that cannot be changed any more.
    fn ended(status: InvoiceStatus) -> Self {
        match status {
            InvoiceStatus::Paid => Self::InvoiceAlreadyPaid,
            InvoiceStatus::Canceled => Self::InvoiceCanceled,
            InvoiceStatus::Expired | InvoiceStatus::Unpaid | InvoiceStatus::Underpaid => Self::InvoiceExpired,
        }
    }

    /// When to try again, if that is the whole trouble.
    pub fn retry_after_seconds(&self) -> Option<i64> {
        match self {
            Self::RateLimited { retry_after_seconds }
            | Self::TooManyRequests { retry_after_seconds, .. }
            | Self::TooManyStreams { retry_after_seconds } => Some(*retry_after_seconds),
            _ => None,
        }
    }

    pub fn status(&self) -> StatusCode {
        self.code().status
    }

    pub fn code(&self) -> ErrorCode {
        match self {
            Self::NotFound => code::NOT_FOUND,
            Self::MethodNotAllowed => code::METHOD_NOT_ALLOWED,
            Self::NotImplemented => code::NOT_IMPLEMENTED,
            Self::Timeout => code::TIMEOUT,
            Self::ApiKeyMissing => code::API_KEY_MISSING,
            Self::ApiKeyInvalid => code::API_KEY_INVALID,
            Self::ApiKeyRevoked => code::API_KEY_REVOKED,
            Self::ApiKeySuspended => code::API_KEY_SUSPENDED,
            Self::ApiKeyExpired => code::API_KEY_EXPIRED,
            Self::ForeignEnvironment { .. } => code::ENVIRONMENT_FORBIDDEN,
            Self::CommerceKey | Self::DashboardOnly | Self::ForeignInvoice => code::SCOPE_FORBIDDEN,
            Self::RightRequired { .. } | Self::RightRequiredBy { .. } => code::RIGHT_REQUIRED,
            Self::DashboardTokenMissing => code::DASHBOARD_TOKEN_MISSING,
            Self::DashboardTokenInvalid => code::DASHBOARD_TOKEN_INVALID,
            Self::DashboardTokenRevoked => code::DASHBOARD_TOKEN_REVOKED,
            Self::DashboardTokenExpired => code::DASHBOARD_TOKEN_EXPIRED,
            Self::ApiKeyNotFound => code::API_KEY_NOT_FOUND,
            Self::ApiKeyLimit { .. } => code::API_KEY_LIMIT,
            Self::ApiKeyAlreadyCreated(_) => code::API_KEY_ALREADY_CREATED,
            Self::IdempotencyKeyMissing => code::IDEMPOTENCY_KEY_MISSING,
            Self::IdempotencyKeyInvalid => code::IDEMPOTENCY_KEY_INVALID,
            Self::IdempotencyConflict => code::IDEMPOTENCY_CONFLICT,
            Self::Amount(AmountError::Format) => code::INVALID_AMOUNT_FORMAT,
            Self::Amount(AmountError::Range) => code::INVALID_AMOUNT_RANGE,
            Self::Invalid { .. } | Self::BrokenJson(_) => code::VALIDATION_ERROR,
            Self::UnsupportedMediaType => code::UNSUPPORTED_MEDIA_TYPE,
            Self::BodyTooLarge => code::BODY_TOO_LARGE,
            Self::BodyTimeout => code::REQUEST_TIMEOUT,
            Self::UrlTooLong => code::URL_TOO_LONG,
            Self::HeadersTooLarge => code::HEADERS_TOO_LARGE,
            Self::InvalidExpand(_) => code::INVALID_EXPAND,
            Self::InvalidCursor { .. } => code::INVALID_CURSOR,
            Self::InvoiceNotFound => code::INVOICE_NOT_FOUND,
            Self::VerificationNotFound => code::VERIFICATION_NOT_FOUND,
            Self::TransactionNotFound => code::TRANSACTION_NOT_FOUND,
            Self::TransactionAttached => code::TRANSACTION_ATTACHED,
            Self::TransactionAmbiguous(_) => code::TRANSACTION_AMBIGUOUS,
            Self::InvoiceHasOwnAddress => code::INVOICE_HAS_OWN_ADDRESS,
            Self::EventNotFound => code::EVENT_NOT_FOUND,
            Self::WebhookNotFound => code::WEBHOOK_NOT_FOUND,
            Self::DeliveryNotFound => code::DELIVERY_NOT_FOUND,
            Self::WebhookLimitReached(_) => code::WEBHOOK_LIMIT_REACHED,
            Self::WebhookDisabled => code::WEBHOOK_DISABLED,
            Self::SessionInvalid | Self::StreamTokenInvalid => code::SESSION_INVALID,
            Self::SessionExpired | Self::StreamTokenExpired => code::SESSION_EXPIRED,
            Self::WsTokenInvalid => code::WS_TOKEN_INVALID,
            Self::WsTokenExpired => code::WS_TOKEN_EXPIRED,
            Self::OriginForbidden => code::ORIGIN_FORBIDDEN,
            Self::UpgradeRequired => code::UPGRADE_REQUIRED,
            Self::TokenNotAvailable { .. } => code::TOKEN_NOT_AVAILABLE,
            Self::TokenNotFound => code::TOKEN_NOT_FOUND,
            Self::UnknownNetwork { .. } => code::UNKNOWN_NETWORK,
            Self::MerchantNotFound => code::MERCHANT_NOT_FOUND,
            Self::WalletNotFound => code::WALLET_NOT_FOUND,
            Self::WalletChangePending => code::WALLET_CHANGE_PENDING,
            Self::WalletChangeTooLate => code::WALLET_CHANGE_TOO_LATE,
            Self::MainnetNotEnabled => code::MAINNET_NOT_ENABLED,
            Self::EnvironmentFixed => code::ENVIRONMENT_FIXED,
            Self::RpcEndpointNotFound => code::RPC_ENDPOINT_NOT_FOUND,
            Self::RpcEndpointExists => code::RPC_ENDPOINT_EXISTS,
            Self::RpcEndpointLimit => code::RPC_ENDPOINT_LIMIT,
            Self::RpcEndpointUnfit(_) => code::RPC_ENDPOINT_UNFIT,
            Self::NetworkUnreachable => code::NETWORK_UNREACHABLE,
            Self::NetworkLocked => code::NETWORK_LOCKED,
            Self::QuestionsUnanswered => code::QUESTIONS_UNANSWERED,
            Self::QuestionsAnswered => code::QUESTIONS_ANSWERED,
            Self::InvoiceExpired => code::INVOICE_EXPIRED,
            Self::InvoiceAlreadyPaid => code::INVOICE_ALREADY_PAID,
            Self::InvoiceCanceled => code::INVOICE_CANCELED,
            Self::InvoiceHasPayments => code::INVOICE_HAS_PAYMENTS,
            Self::RateLimited { .. } | Self::TooManyRequests { .. } | Self::TooManyStreams { .. } => code::RATE_LIMITED,
            Self::Internal(_) => code::INTERNAL_SERVER_ERROR,
        }
    }

    #[expect(clippy::too_many_lines, reason = "a sentence for each error")]
    fn message(&self) -> String {
        let text = match self {
            Self::NotFound => "there is nothing at this address",
            Self::MethodNotAllowed => "this address does not take this method",
            Self::NotImplemented => {
                "this server has no commerce API; invoices and payments are under /api/v1 and /ws/payment"
            }
            Self::Timeout => "the request took too long; it is safe to repeat it with the same idempotency key",
            Self::ApiKeyMissing => "an API key is required, as header x-api-key or as bearer token",
            Self::ApiKeyInvalid => "x-api-key is not a valid API key",
            Self::ApiKeyRevoked => "this API key was revoked",
            Self::ApiKeySuspended => "this API key is suspended",
            Self::ApiKeyExpired => "this API key has expired",
            Self::ForeignEnvironment { server } => {
                return format!("this API key is not for {}, which this server is", server.as_str());
            }
            Self::CommerceKey => "this needs an API key of scope merchant; this one is of scope commerce",
            Self::RightRequired { any_of } => {
                let any_of = any_of.iter().map(|right| right.as_str()).collect::<Vec<_>>().join(" or ");
                return format!("this needs the right {any_of}, which this credential does not have");
            }
            Self::RightRequiredBy { right, field } => {
                return format!("{field} needs the right {right}, which this credential does not have");
            }
            Self::DashboardTokenMissing => "a dashboard token is required, as Authorization: Bearer",
            Self::DashboardTokenInvalid => "the bearer is not a valid dashboard token",
            Self::DashboardTokenRevoked => "this dashboard token was revoked",
            Self::DashboardTokenExpired => "this dashboard token has expired",
            Self::DashboardOnly => {
                "this needs a dashboard token; API keys cannot do it, and a key decides before a bearer"
            }
            Self::ApiKeyNotFound => "there is no such API key",
            Self::ApiKeyLimit { most } => {
                return format!("there are {most} active keys of this scope, which is as many as there may be");
            }
            Self::ApiKeyAlreadyCreated(id) => {
                return format!(
                    "this request has created key {id}, whose secret was shown then and only then; \
                     if it was lost, revoke that key and create another with a new Idempotency-Key"
                );
            }
            Self::IdempotencyKeyMissing => {
                "header Idempotency-Key is required: a new version 4 UUID for each new request"
            }
            Self::IdempotencyKeyInvalid => {
                "Idempotency-Key must be a version 4 UUID, as in 3f2504e0-4f89-41d3-9a0c-0305e82c3301"
            }
            Self::IdempotencyConflict => "this Idempotency-Key was used for another request",
            Self::Amount(error) => return error.to_string(),
            Self::Invalid { message, .. } => return message.clone(),
            Self::BrokenJson(cause) => return format!("the body is not valid JSON: {cause}"),
            Self::UnsupportedMediaType => "the body must be sent as Content-Type: application/json",
            Self::BodyTooLarge => "the body is larger than this server accepts",
            Self::BodyTimeout => "the body took too long to arrive",
            Self::UrlTooLong => "the path and query are longer than this server accepts",
            Self::HeadersTooLarge => "the headers are more or larger than this server accepts",
            Self::InvalidExpand(name) => {
                return format!("expand cannot be {name:?}; it takes latest_payment and payments");
            }
            Self::InvalidCursor { field } => return format!("{field} must be the id of something in this list"),
            Self::InvoiceNotFound => "there is no such invoice",
            Self::VerificationNotFound => "nobody has asked to have a payment of this invoice looked for",
            Self::TransactionNotFound => {
                "this transaction brought nothing to the invoice's wallet that belongs to no invoice; it may not be read yet"
            }
            Self::TransactionAttached => "this payment counts towards another invoice already",
            Self::TransactionAmbiguous(payments) => {
                return format!("payment_id must say which of the transaction's payments is meant: {payments}");
            }
            Self::InvoiceHasOwnAddress => {
                "payments of this invoice come to an address of its own, so that none has to be assigned"
            }
            Self::EventNotFound => "there is no such event",
            Self::WebhookNotFound => "there is no such webhook endpoint",
            Self::DeliveryNotFound => "this event was never sent to this webhook endpoint",
            Self::WebhookLimitReached(most) => return format!("there are {most} webhook endpoints already"),
            Self::WebhookDisabled => "this webhook endpoint is not active; set is_active to true first",
            Self::SessionInvalid => "x-session-token and x-signature are required and must belong together",
            Self::SessionExpired => "this payment session has ended",
            Self::ForeignInvoice => "this session is for another invoice",
            Self::StreamTokenInvalid => "token opens no stream",
            Self::StreamTokenExpired => "this stream token has expired",
            Self::WsTokenInvalid => "token opens no stream, or the key it was made with was revoked",
            Self::WsTokenExpired => "this stream token has expired; ask for a new one",
            Self::OriginForbidden => "pages of this origin may not open the stream",
            Self::TooManyStreams { retry_after_seconds } => {
                return format!("too many streams are open; try again in {retry_after_seconds} seconds");
            }
            Self::UpgradeRequired => "this address speaks WebSocket only",
            Self::TokenNotAvailable { .. } => "this token is not available on this network",
            Self::TokenNotFound => "there is no such token",
            Self::UnknownNetwork { field } => {
                return format!(
                    "{field} is no network of this server; GET /api/v1/merchant/networks lists those it has"
                );
            }
            Self::MerchantNotFound => "there is no such merchant",
            Self::WalletNotFound => "there is no such wallet",
            Self::WalletChangePending => "another change of wallets is scheduled; cancel it first",
            Self::WalletChangeTooLate => "this wallet is or was in force; only a scheduled change can be canceled",
            Self::MainnetNotEnabled => {
                "this server is a devnet server, by its configuration; real money needs a server of its own"
            }
            Self::EnvironmentFixed => {
                "this server is a mainnet server, by its configuration; test money needs a server of its own"
            }
            Self::RpcEndpointNotFound => "there is no such RPC endpoint",
            Self::RpcEndpointExists => "this network has this RPC endpoint already",
            Self::RpcEndpointLimit => "this network has as many added RPC endpoints as it may have",
            Self::RpcEndpointUnfit(problem) => return format!("the endpoint at rpc_url {problem}"),
            Self::NetworkUnreachable => {
                "the server's own nodes of this network do not answer, so there is nothing to compare with; try again"
            }
            Self::NetworkLocked => "the first payment decided network and token; the rest must be paid in the same",
            Self::QuestionsUnanswered => "the merchant's questions have to be answered before a token can be chosen",
            Self::QuestionsAnswered => "the merchant's questions have been answered already",
            Self::InvoiceExpired => "this invoice has expired",
            Self::InvoiceAlreadyPaid => "this invoice is already paid",
            Self::InvoiceCanceled => "this invoice was canceled",
            Self::InvoiceHasPayments => "money for this invoice has arrived or is arriving",
            Self::RateLimited { retry_after_seconds } => {
                return format!("too many requests for this invoice; try again in {retry_after_seconds} seconds");
            }
            Self::TooManyRequests { limit, retry_after_seconds } => {
                let what = match limit {
                    Policy::Key => "too many requests with this key",
                    Policy::Session => "too many requests for this invoice",
                    Policy::Address => "too many requests from this address",
                    Policy::FailedCredentials => "too many bad credentials from this address",
                };
                return format!("{what}; try again in {retry_after_seconds} seconds");
            }
            Self::Internal(_) => "something went wrong on our side; it is safe to try again",
        };
        text.to_owned()
    }

    fn field(&self) -> Option<&str> {
        match self {
            Self::ApiKeyMissing
            | Self::ApiKeyInvalid
            | Self::ApiKeyRevoked
            | Self::ApiKeySuspended
            | Self::ApiKeyExpired
            | Self::ForeignEnvironment { .. }
            | Self::CommerceKey => Some("x-api-key"),
            Self::DashboardTokenMissing
            | Self::DashboardTokenInvalid
            | Self::DashboardTokenRevoked
            | Self::DashboardTokenExpired
            | Self::DashboardOnly => Some("Authorization"),
            Self::IdempotencyKeyMissing
            | Self::IdempotencyKeyInvalid
            | Self::IdempotencyConflict
            | Self::ApiKeyAlreadyCreated(_) => Some("Idempotency-Key"),
            Self::TokenNotAvailable { field } | Self::InvalidCursor { field } => Some(field),
            Self::Amount(_) => Some("amount_usd"),
            Self::Invalid { field, .. } | Self::RightRequiredBy { field, .. } | Self::UnknownNetwork { field } => {
                Some(field)
            }
            Self::UnsupportedMediaType => Some("Content-Type"),
            Self::InvalidExpand(_) => Some("expand"),
            Self::SessionInvalid => Some("x-session-token"),
            Self::ForeignInvoice => Some("invoice_id"),
            Self::StreamTokenInvalid | Self::StreamTokenExpired | Self::WsTokenInvalid | Self::WsTokenExpired => {
                Some("token")
            }
            Self::TransactionNotFound | Self::TransactionAttached => Some("tx_hash"),
            Self::TransactionAmbiguous(_) => Some("payment_id"),
            Self::OriginForbidden => Some("Origin"),
            Self::NetworkLocked | Self::NetworkUnreachable => Some("network"),
            Self::RpcEndpointExists | Self::RpcEndpointUnfit(_) => Some("rpc_url"),
            Self::MainnetNotEnabled | Self::EnvironmentFixed => Some("environment"),
            Self::ApiKeyNotFound
            | Self::ApiKeyLimit { .. }
            | Self::NotFound
            | Self::MethodNotAllowed
            | Self::NotImplemented
            | Self::Timeout
            | Self::BrokenJson(_)
            | Self::BodyTooLarge
            | Self::BodyTimeout
            | Self::UrlTooLong
            | Self::HeadersTooLarge
            | Self::RightRequired { .. }
            | Self::InvoiceNotFound
            | Self::VerificationNotFound
            | Self::InvoiceHasOwnAddress
            | Self::EventNotFound
            | Self::TokenNotFound
            | Self::MerchantNotFound
            | Self::WalletNotFound
            | Self::WalletChangePending
            | Self::WalletChangeTooLate
            | Self::RpcEndpointNotFound
            | Self::RpcEndpointLimit
            | Self::WebhookNotFound
            | Self::DeliveryNotFound
            | Self::WebhookLimitReached(_)
            | Self::WebhookDisabled
            | Self::SessionExpired
            | Self::UpgradeRequired
            | Self::QuestionsUnanswered
            | Self::QuestionsAnswered
            | Self::InvoiceExpired
            | Self::InvoiceAlreadyPaid
            | Self::InvoiceCanceled
            | Self::InvoiceHasPayments
            | Self::RateLimited { .. }
            | Self::TooManyStreams { .. }
            | Self::TooManyRequests { .. }
            | Self::Internal(_) => None,
        }
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        if let Self::Internal(cause) = &self {
            log_cause(cause.as_ref());
        }
        let ErrorCode { status, name, .. } = self.code();
        let body = Json(ErrorBody::new(name, &self.message(), self.field()));
        match self.retry_after_seconds() {
            Some(seconds) => (status, [(header::RETRY_AFTER, seconds.to_string())], body).into_response(),
            None => (status, body).into_response(),
        }
    }
}

/// Writes an error and everything that caused it into the log.
pub fn log_cause(cause: &(dyn Error + 'static)) {
    let mut text = cause.to_string();
    let mut next = cause.source();
    while let Some(cause) = next {
        text = format!("{text}: {cause}");
        next = cause.source();
    }
    tracing::error!(error = %text, "a request failed");
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        Self::internal(error)
    }
}

impl From<SessionError> for ApiError {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Invalid => Self::SessionInvalid,
            SessionError::Expired => Self::SessionExpired,
            SessionError::Store(error) => error.into(),
        }
    }
}

impl From<CreateError> for ApiError {
    fn from(error: CreateError) -> Self {
        match error {
            CreateError::KeyReused => Self::IdempotencyConflict,
            CreateError::ReceiverIsDepositAddress | CreateError::ReceiverIsAnothers => {
                invalid("receiver_override_address", format!("receiver_override_address: {error}"))
            }
            CreateError::ReceiverIsFixed => {
                invalid("receiver_override_enable", format!("receiver_override_enable: {error}"))
            }
            CreateError::Address(AddressError::Store(error)) | CreateError::Store(error) => error.into(),
            CreateError::NoSuchMerchant(_) | CreateError::Address(_) => Self::internal(error),
        }
    }
}

impl From<IssueError> for ApiError {
    fn from(error: IssueError) -> Self {
        match error {
            IssueError::TooMany { most } => Self::ApiKeyLimit { most },
            IssueError::Repeated(id) => Self::ApiKeyAlreadyCreated(id),
            IssueError::NameReused => Self::IdempotencyConflict,
            IssueError::NoSuchMerchant(_) => Self::internal(error),
            IssueError::Store(error) => error.into(),
        }
    }
}

impl From<CancelError> for ApiError {
    fn from(error: CancelError) -> Self {
        match error {
            CancelError::NoSuchInvoice => Self::InvoiceNotFound,
            CancelError::Ended(status) => Self::ended(status),
            CancelError::MoneyArrives => Self::InvoiceHasPayments,
            CancelError::Store(error) => error.into(),
        }
    }
}

impl From<TokenError> for ApiError {
    fn from(error: TokenError) -> Self {
        match error {
            TokenError::NoSuchToken(_) => Self::TokenNotFound,
            TokenError::Store(error) => error.into(),
        }
    }
}

impl From<WalletError> for ApiError {
    fn from(error: WalletError) -> Self {
        match error {
            WalletError::NoSuchMerchant(_) => Self::MerchantNotFound,
            WalletError::NoSuchWallet => Self::WalletNotFound,
            WalletError::Pending => Self::WalletChangePending,
            WalletError::TookEffect => Self::WalletChangeTooLate,
            WalletError::InForce | WalletError::DepositAddress => {
                invalid("wallet_address", format!("wallet_address: {error}"))
            }
            WalletError::Store(error) => error.into(),
        }
    }
}

impl From<RpcEndpointError> for ApiError {
    fn from(error: RpcEndpointError) -> Self {
        match error {
            RpcEndpointError::NoSuchNetwork(_) => Self::UnknownNetwork { field: "network".to_owned() },
            RpcEndpointError::Url | RpcEndpointError::Refused(_) => invalid("rpc_url", format!("rpc_url {error}")),
            RpcEndpointError::Unfit(problem) => Self::RpcEndpointUnfit(problem.to_string()),
            RpcEndpointError::NothingToCompareWith => Self::NetworkUnreachable,
            RpcEndpointError::Exists => Self::RpcEndpointExists,
            RpcEndpointError::TooMany => Self::RpcEndpointLimit,
            RpcEndpointError::NoSuchEndpoint => Self::RpcEndpointNotFound,
            RpcEndpointError::Store(error) => error.into(),
        }
    }
}

impl From<EndpointError> for ApiError {
    fn from(error: EndpointError) -> Self {
        match error {
            EndpointError::NoSuchEndpoint => Self::WebhookNotFound,
            EndpointError::NoSuchDelivery => Self::DeliveryNotFound,
            EndpointError::TooMany(most) => Self::WebhookLimitReached(most),
            EndpointError::Inactive => Self::WebhookDisabled,
            EndpointError::Store(error) => error.into(),
        }
    }
}

impl From<AmountError> for ApiError {
    fn from(error: AmountError) -> Self {
        Self::Amount(error)
    }
}

impl From<AttachError> for ApiError {
    fn from(error: AttachError) -> Self {
        match error {
            AttachError::NoSuchInvoice => Self::InvoiceNotFound,
            AttachError::HasOwnAddress => Self::InvoiceHasOwnAddress,
            AttachError::NoSuchTransaction => Self::TransactionNotFound,
            AttachError::AttachedElsewhere => Self::TransactionAttached,
            AttachError::Ambiguous(payments) => {
                let name = |came: &UnattributedRecord| {
                    format!("{} ({} of token {})", came.payment(), came.amount.to_decimal(came.decimals), came.token)
                };
                Self::TransactionAmbiguous(payments.iter().map(name).collect::<Vec<_>>().join(", "))
            }
            AttachError::Store(error) => error.into(),
        }
    }
}

impl From<VerifyError> for ApiError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::NoSuchNetwork(_) => Self::UnknownNetwork { field: "network".to_owned() },
            error @ (VerifyError::NoNetwork | VerifyError::OtherNetwork { .. }) => {
                invalid("network", error.to_string())
            }
            VerifyError::Store(error) => error.into(),
        }
    }
}

impl From<AnswerError> for ApiError {
    fn from(error: AnswerError) -> Self {
        match error {
            AnswerError::Faulty(faults) => {
                let said: Vec<String> = faults.iter().map(|(id, fault)| format!("{id} {fault}")).collect();
                invalid("responses", format!("responses: {}", said.join(", ")))
            }
            AnswerError::NoSuchQuestion(place) => {
                invalid(format!("responses[{place}].question_id"), format!("responses[{place}].question_id: {error}"))
            }
            AnswerError::AnsweredBefore => Self::QuestionsAnswered,
            AnswerError::Ended(status) => Self::ended(status),
            AnswerError::NoSuchInvoice => Self::InvoiceNotFound,
            AnswerError::Store(error) => error.into(),
        }
    }
}

impl From<EmailError> for ApiError {
    fn from(error: EmailError) -> Self {
        match error {
            EmailError::NoEmail => invalid("email", "email must be an e-mail address"),
            EmailError::Ended(status) => Self::ended(status),
            EmailError::NoSuchInvoice => Self::InvoiceNotFound,
            EmailError::Store(error) => error.into(),
        }
    }
}

/// A choice that cannot be quoted; having no price is not an error of the request and is answered before.
impl From<QuoteError> for ApiError {
    fn from(error: QuoteError) -> Self {
        match error {
            QuoteError::NoSuchInvoice => Self::InvoiceNotFound,
            QuoteError::NotOffered(_) | QuoteError::NoAmountLeft => Self::TokenNotAvailable { field: "tokenId" },
            // Each try met somebody else's.
            QuoteError::AddressMoved => StoreError::NotCommitted.into(),
            QuoteError::Address(error) => Self::internal(error),
            QuoteError::Locked => Self::NetworkLocked,
            QuoteError::Unanswered => Self::QuestionsUnanswered,
            QuoteError::Ended(status) => Self::ended(status),
            QuoteError::TooMany { retry_after_seconds } => Self::RateLimited { retry_after_seconds },
            QuoteError::NoPrice(error) => Self::internal(error),
            QuoteError::Store(error) => error.into(),
        }
    }
}
