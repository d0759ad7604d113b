//! A form that a payer sent, read far enough to know whose it is.

use axum::{
    extract::Request,
    response::{IntoResponse, Redirect, Response},
};
use frontend::Language;

use crate::{
    app::App,
    http::{
        error::ApiError,
        extract::{Parameters, read_body},
        language,
    },
    session::{self, Session},
};

/// A form of a session that is good.
pub struct Form {
    pub fields: Parameters,
    pub session: Session,
    /// The language that the form names.
    pub named: Option<Language>,
}

impl Form {
    /// Reads a form and opens its session.
    ///
    /// # Errors
    ///
    /// If it cannot be read, or its session opens nothing.
    pub async fn read(app: &App, request: Request) -> Result<Self, ApiError> {
        let body = read_body(request, &()).await?;
        let fields = Parameters::parse(&body);
        let session = super::open(app, &fields).await?;
        let named = language::named(&fields);
        Ok(Self { fields, session, named })
    }

    /// What a field was given, with one kind of line end; empty if it is not there.
    pub fn given(&self, name: &str) -> String {
        self.fields.get(name).unwrap_or_default().replace("\r\n", "\n")
    }

    /// The path and query of the session's page, in the language of the form.
    pub fn page(&self) -> String {
        self.at(super::PATH)
    }

    /// The same for another page of the session.
    pub fn at(&self, path: &str) -> String {
        let page = session::page_path(&self.session.credentials);
        let query = page.split_once('?').map_or("", |(_, query)| query);
        let spoken = self.named.map(|language| format!("&{}={}", language::PARAMETER, language.code()));
        format!("{path}?{query}{}", spoken.unwrap_or_default())
    }

    /// Sends the browser to the page, by a request that can be repeated.
    pub fn back_to_page(&self) -> Response {
        Redirect::to(&self.page()).into_response()
    }
}
