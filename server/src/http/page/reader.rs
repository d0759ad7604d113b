//! Who looks at an answer: a person, in a language, who is never shown an error as programs are.

use axum::{
    extract::{FromRequestParts, Request},
    http::{Extensions, HeaderMap, HeaderValue, Method, StatusCode, Uri, header, request::Parts},
    response::{Html, IntoResponse, Response},
};
use frontend::{
    Language,
    still::{Trouble, draw_trouble},
};

use super::{Pages, is_for_people, with_page_headers};
use crate::http::{
    encoding::{self, BROTLI},
    error::{ApiError, log_cause},
    extract::Parameters,
    language,
    template::{Look, Openings},
};

/// A person who asked for a page.
#[derive(Clone)]
pub struct Reader {
    pub(super) pages: Pages,
    pub(super) language: Language,
    takes_brotli: bool,
    /// Where the same page can be asked for again; `None` for a form, which must not be sent twice by itself.
    again: Option<String>,
}

impl Reader {
    /// Who asks for this; `None` for a program.
    pub fn of(request: &Request) -> Option<Self> {
        let is_person = is_for_people(request.uri().path(), request.headers());
        is_person.then(|| Self::whoever(request.method(), request.uri(), request.headers(), request.extensions()))?
    }

    /// Somebody who followed a link to something that is not there; `None` for a program.
    pub fn of_anything(request: &Request) -> Option<Self> {
        let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok());
        let is_person = accept.is_some_and(|accept| accept.contains("text/html"));
        is_person.then(|| Self::whoever(request.method(), request.uri(), request.headers(), request.extensions()))?
    }

    fn whoever(method: &Method, uri: &Uri, headers: &HeaderMap, extensions: &Extensions) -> Option<Self> {
        let parameters = Parameters::parse(uri.query().unwrap_or_default().as_bytes());
        let path = uri.path_and_query().map(ToString::to_string);
        Some(Self {
            pages: extensions.get::<Pages>()?.clone(),
            language: language::of(&parameters, headers),
            takes_brotli: encoding::is_taken(headers, BROTLI),
            again: path.filter(|_| method == Method::GET),
        })
    }

    /// The same person, who has named a language.
    pub fn speaking(&self, named: Option<Language>) -> Self {
        Self { language: named.unwrap_or(self.language), ..self.clone() }
    }

    /// The answer, or a page that says why there is none.
    pub fn answer(&self, answer: Result<Response, ApiError>) -> Response {
        answer.unwrap_or_else(|error| self.refuse(&error))
    }

    /// Says on a page why there is no other, and what to do next. One that can be asked for again does so when that may help.
    pub fn refuse(&self, error: &ApiError) -> Response {
        let retry_after_seconds = error.retry_after_seconds();
        let trouble = trouble(error);
        if let ApiError::Internal(cause) = error {
            log_cause(cause.as_ref());
        }
        let again = self.again.clone().filter(|_| matches!(trouble, Trouble::TooFast | Trouble::OurFault));
        let mut response = self.show(error.status(), trouble, again);
        if let Some(seconds) = retry_after_seconds {
            let headers = response.headers_mut();
            headers.insert(header::RETRY_AFTER, seconds.into());
            if self.again.is_some() {
                headers.insert("refresh", seconds.into());
            }
        }
        response
    }

    /// There is no page, because none was built.
    pub(super) fn not_built(&self) -> Response {
        self.show(StatusCode::SERVICE_UNAVAILABLE, Trouble::NotBuilt, None)
    }

    /// A page about something that went wrong, with a way on, if there is one.
    pub(super) fn show(&self, status: StatusCode, trouble: Trouble, next: Option<String>) -> Response {
        let page = draw_trouble(trouble, self.language, next);
        // It says nothing about anybody, so any site may show it in the place of the page.
        let policy = self.pages.look.policy("'none'", "*");
        let document = self.document(&self.pages.look.openings, &Look::rest(&page, ""), &policy);
        (status, document).into_response()
    }

    /// A document in the reader's language, as small as the reader takes it.
    pub(super) fn document(&self, openings: &Openings, rest: &str, policy: &str) -> Response {
        let opening = openings.in_language(self.language);
        let compressed = self.takes_brotli.then(|| opening.compressed_document(rest)).flatten();
        let mut response = match compressed {
            Some(document) => ([(header::CONTENT_ENCODING, BROTLI)], Html(document)).into_response(),
            None => Html(opening.document(rest)).into_response(),
        };
        response.headers_mut().insert(header::VARY, HeaderValue::from_static("accept-encoding"));
        with_page_headers(response, policy)
    }
}

impl<S: Sync> FromRequestParts<S> for Reader {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, ApiError> {
        let reader = Self::whoever(&parts.method, &parts.uri, &parts.headers, &parts.extensions);
        reader.ok_or_else(|| ApiError::internal(NoPages))
    }
}

/// Routes of pages stand where there are pages.
#[derive(Debug, thiserror::Error)]
#[error("a page was asked for where there are none")]
struct NoPages;

fn trouble(error: &ApiError) -> Trouble {
    match error {
        ApiError::SessionInvalid | ApiError::InvoiceNotFound => Trouble::LinkBroken,
        ApiError::SessionExpired => Trouble::LinkOver,
        ApiError::BodyTooLarge | ApiError::UrlTooLong | ApiError::HeadersTooLarge => Trouble::TooLarge,
        ApiError::QuestionsAnswered => Trouble::AnsweredBefore,
        ApiError::NotFound | ApiError::MethodNotAllowed => Trouble::NotHere,
        error if error.retry_after_seconds().is_some() => Trouble::TooFast,
        error if error.status().is_server_error() => Trouble::OurFault,
        _ => Trouble::NotUnderstood,
    }
}
