//! Lists and sums of a merchant's invoices.
//!
//! A page is found by the place it starts at, never by counting up to it, so that it costs the same at
//! any depth. Each environment and status is read from an index of its own, in order, and merged.

use std::collections::HashMap;

use domain::{
    id::{InvoiceId, MerchantId},
    invoice::InvoiceStatus,
    money::UsdMillis,
    time::UnixMillis,
};
use wire::Environment;

use super::{
    InvoiceRecord, StoreError, Tx,
    invoices::{parse_status, read_invoice, status_text},
    row::Columns,
    statement::Statement,
};

/// The times between which invoices were created; both belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CreatedBetween {
    pub from: Option<UnixMillis>,
    pub to: Option<UnixMillis>,
}

/// Which of a merchant's invoices are meant; what is empty or `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct InvoiceFilter {
    pub statuses: Vec<InvoiceStatus>,
    pub customer_id: Option<String>,
    pub environment: Option<Environment>,
    pub created: CreatedBetween,
    /// Somebody who sent any of its payments; letters of either case are the same.
    pub payer: Option<String>,
    /// The network any of its payments, or those of `payer`, came by.
    pub payer_network: Option<String>,
}

/// An invoice's place in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InvoiceCursor {
    pub created: UnixMillis,
    pub id: InvoiceId,
}

impl InvoiceCursor {
    pub fn of(invoice: &InvoiceRecord) -> Self {
        Self { created: invoice.created, id: invoice.id }
    }
}

/// Which part of a list is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    Newest,
    OlderThan(InvoiceCursor),
    NewerThan(InvoiceCursor),
    /// Past that many of the newest; costs as much as it skips.
    Skip(i64),
}

/// A part of a list, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvoiceList {
    pub invoices: Vec<InvoiceRecord>,
    /// Whether there are more in the direction that was asked for.
    pub has_more: bool,
}

/// Who made the payment that decided where the rest of an invoice is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FirstPayer {
    pub address: String,
    pub network: String,
}

/// A merchant's invoices in one status.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StatusSum {
    pub status: InvoiceStatus,
    pub count: u64,
    /// What they ask for together.
    pub due: UsdMillis,
}

impl Tx<'_> {
    /// At most `limit` of a merchant's invoices.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_list(
        &mut self,
        merchant: MerchantId,
        filter: &InvoiceFilter,
        part: Part,
        limit: usize,
    ) -> Result<InvoiceList, StoreError> {
        let mut invoices = Vec::new();
        let statement = list_statement(merchant, filter, part, limit);
        for row in &statement.query().fetch_all(&mut *self.connection).await? {
            invoices.push(read_invoice(row)?);
        }
        let place = |invoice: &InvoiceRecord| (invoice.created, invoice.id);
        if matches!(part, Part::NewerThan(_)) {
            invoices.sort_unstable_by_key(place);
        } else {
            invoices.sort_unstable_by_key(|invoice| std::cmp::Reverse(place(invoice)));
        }
        let has_more = limit < invoices.len();
        invoices.truncate(limit);
        if matches!(part, Part::NewerThan(_)) {
            invoices.reverse();
        }
        Ok(InvoiceList { invoices, has_more })
    }

    /// Who first paid each of a merchant's invoices, where that is known.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn first_payers(
        &mut self,
        merchant: MerchantId,
        invoices: &[InvoiceRecord],
    ) -> Result<HashMap<InvoiceId, FirstPayer>, StoreError> {
        let paid: Vec<_> = invoices.iter().filter(|invoice| invoice.standing.locked_by.is_some()).collect();
        if paid.is_empty() {
            return Ok(HashMap::new());
        }
        let rows = first_payers_statement(merchant, &paid).query().fetch_all(&mut *self.connection).await?;
        let read = |row| {
            let columns = Columns::of(row, "transfers");
            let payer = FirstPayer { address: columns.text("payer")?, network: columns.text("network")? };
            Ok((columns.parsed("invoice_id")?, payer))
        };
        rows.iter().map(read).collect()
    }

    /// How many of a merchant's invoices there are.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn count_invoices(&mut self, merchant: MerchantId, filter: &InvoiceFilter) -> Result<u64, StoreError> {
        let row = count_statement(merchant, filter).query().fetch_one(&mut *self.connection).await?;
        Columns::of(&row, "invoices").number("invoices")
    }

    /// How many of a merchant's invoices there are in each status, and what they ask for.
    ///
    /// # Errors
    ///
    /// If the database refuses.
    pub async fn invoice_sums(
        &mut self,
        merchant: MerchantId,
        filter: &InvoiceFilter,
    ) -> Result<Vec<StatusSum>, StoreError> {
        let rows = sums_statement(merchant, filter).query().fetch_all(&mut *self.connection).await?;
        let read = |row| {
            let columns = Columns::of(row, "invoices");
            let status = columns.text("status")?;
            Ok(StatusSum {
                status: parse_status(&status).ok_or_else(|| columns.corrupt("status", status))?,
                count: columns.number("invoices")?,
                due: UsdMillis::from_millis(columns.number("due")?),
            })
        };
        rows.iter().map(read).collect()
    }
}

fn first_payers_statement(merchant: MerchantId, invoices: &[&InvoiceRecord]) -> Statement {
    let mut statement = Statement::of(
        "SELECT transfers.invoice_id, payer, network FROM invoices JOIN transfers
            ON transfers.merchant_id = invoices.merchant_id AND transfers.invoice_id = invoices.invoice_id
            AND payment_id = locked_by
         WHERE payer IS NOT NULL AND invoices.merchant_id = ",
    );
    statement.bind(merchant.0);
    statement.push(" AND invoices.invoice_id IN ");
    statement.bind_list(invoices.iter().map(|invoice| invoice.id.to_string()));
    statement
}

fn count_statement(merchant: MerchantId, filter: &InvoiceFilter) -> Statement {
    let mut statement = Statement::of("SELECT COUNT(*) AS invoices");
    statement.restrict(merchant, filter, &environments(filter));
    statement
}

fn sums_statement(merchant: MerchantId, filter: &InvoiceFilter) -> Statement {
    // A sum of big integers is of a wider type where there is one.
    let mut statement = Statement::of("SELECT status, COUNT(*) AS invoices, CAST(SUM(due) AS BIGINT) AS due");
    statement.restrict(merchant, filter, &environments(filter));
    statement.push(" GROUP BY status");
    statement
}

fn environments(filter: &InvoiceFilter) -> Vec<Environment> {
    filter.environment.map_or_else(|| vec![Environment::Devnet, Environment::Mainnet], |only| vec![only])
}

/// Finds a part of a list and one invoice more, and perhaps further ones behind them, in no order.
fn list_statement(merchant: MerchantId, filter: &InvoiceFilter, part: Part, limit: usize) -> Statement {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX).saturating_add(1);
    let environments = environments(filter);
    let (created, id) = Source::of(filter).order();
    if let Part::Skip(skip) = part {
        // Parts of a merged list cannot be skipped one by one. Only places are sorted, not whole invoices.
        let mut statement = Statement::of("SELECT * FROM invoices WHERE merchant_id = ");
        statement.bind(merchant.0);
        statement.push(&format!(" AND invoice_id IN (SELECT {id}"));
        statement.restrict(merchant, filter, &environments);
        statement.push(&format!(" ORDER BY {created} DESC, {id} DESC"));
        statement.limit(limit);
        statement.push(" OFFSET ");
        statement.bind(skip);
        statement.push(")");
        return statement;
    }
    let (cursor, comparison, order) = match part {
        Part::OlderThan(cursor) => (Some(cursor), "<", "DESC"),
        Part::NewerThan(cursor) => (Some(cursor), ">", "ASC"),
        Part::Newest | Part::Skip(_) => (None, "", "DESC"),
    };
    let mut statement = Statement::of("");
    for (number, (environments, filter)) in orderly_parts(filter, environments).into_iter().enumerate() {
        statement.push(if number == 0 { "" } else { " UNION ALL " });
        statement.push("SELECT * FROM (SELECT invoices.*");
        statement.restrict(merchant, &filter, &environments);
        if let Some(cursor) = cursor {
            statement.push(&format!(" AND ({created}, {id}) {comparison} ("));
            statement.bind(cursor.created.0);
            statement.push(", ");
            statement.bind(cursor.id.to_string());
            statement.push(")");
        }
        statement.push(&format!(" ORDER BY {created} {order}, {id} {order}"));
        statement.limit(limit);
        statement.push(&format!(") AS part_{number}"));
    }
    statement
}

/// What an index holds in order: each environment and status, or all of a payer's or a network's.
fn orderly_parts(filter: &InvoiceFilter, environments: Vec<Environment>) -> Vec<(Vec<Environment>, InvoiceFilter)> {
    if Source::of(filter) != Source::Invoices {
        return vec![(environments, filter.clone())];
    }
    let mut statuses: Vec<_> = filter.statuses.iter().map(|status| vec![*status]).collect();
    if statuses.is_empty() {
        statuses.push(Vec::new());
    }
    let with_statuses = |statuses: &Vec<_>| InvoiceFilter { statuses: statuses.clone(), ..filter.clone() };
    let parts = environments.into_iter().map(|environment| statuses.iter().map(move |it| (vec![environment], it)));
    parts.flatten().map(|(environment, statuses)| (environment, with_statuses(statuses))).collect()
}

/// SQLite reads tables that are joined like this in this order.
const JOINED: &str = "AS found CROSS JOIN invoices WHERE invoices.merchant_id = found.merchant_id
     AND invoices.invoice_id = found.invoice_id AND found.merchant_id = ";

/// Where invoices are found in the order of lists.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Invoices,
    Payers,
    Networks,
}

impl Source {
    fn of(filter: &InvoiceFilter) -> Self {
        match filter {
            InvoiceFilter { payer: Some(_), .. } => Self::Payers,
            InvoiceFilter { payer_network: Some(_), .. } => Self::Networks,
            _ => Self::Invoices,
        }
    }

    /// How the time of creation and the id are spelled, by which lists are ordered.
    fn order(self) -> (&'static str, &'static str) {
        match self {
            Self::Invoices => ("created_ms", "invoice_id"),
            Self::Payers | Self::Networks => ("found.created_ms", "found.invoice_id"),
        }
    }
}

impl Statement {
    /// Adds where invoices are read from, and the conditions of a filter.
    fn restrict(&mut self, merchant: MerchantId, filter: &InvoiceFilter, environments: &[Environment]) {
        let source = Source::of(filter);
        match source {
            Source::Invoices => self.push(" FROM invoices WHERE invoices.merchant_id = "),
            Source::Payers => self.push(&format!(" FROM invoice_payers {JOINED}")),
            Source::Networks => self.push(&format!(" FROM invoice_networks {JOINED}")),
        }
        self.bind(merchant.0);
        if source != Source::Invoices {
            self.restrict_payer(filter);
        }
        self.push(" AND environment IN ");
        self.bind_list(environments.iter().map(|environment| environment.as_str()));
        if !filter.statuses.is_empty() {
            self.push(" AND status IN ");
            self.bind_list(filter.statuses.iter().map(|status| status_text(*status)));
        }
        if let Some(customer) = &filter.customer_id {
            self.push(" AND customer_id = ");
            self.bind(customer.clone());
        }
        let (created, _) = source.order();
        if let Some(from) = filter.created.from {
            self.push(&format!(" AND {created} >= "));
            self.bind(from.0);
        }
        if let Some(to) = filter.created.to {
            self.push(&format!(" AND {created} <= "));
            self.bind(to.0);
        }
    }

    /// Of what was found, keeps what a transfer that still counts speaks for.
    fn restrict_payer(&mut self, filter: &InvoiceFilter) {
        let payer = filter.payer.as_ref().map(|payer| payer.to_lowercase());
        match (&payer, &filter.payer_network) {
            (Some(payer), _) => {
                self.push(" AND found.payer = ");
                self.bind(payer.clone());
            }
            (None, Some(network)) => {
                self.push(" AND found.network = ");
                self.bind(network.clone());
            }
            (None, None) => return,
        }
        self.push(
            " AND EXISTS (SELECT 1 FROM transfers WHERE transfers.merchant_id = found.merchant_id
                 AND transfers.invoice_id = found.invoice_id AND canonical = 1",
        );
        if let Some(payer) = payer {
            // Compared like this, an invoice's few transfers are looked through, not the payer's many.
            self.push(" AND LOWER(payer) || '' = ");
            self.bind(payer);
        }
        if let Some(network) = &filter.payer_network {
            self.push(" AND network = ");
            self.bind(network.clone());
        }
        self.push(")");
    }
}

#[cfg(test)]
mod tests {
    use sqlx::Row;

    use super::*;
    use crate::{store::Store, testing::TempDir};

    fn parts() -> [Part; 3] {
        let cursor = InvoiceCursor { created: UnixMillis(1_800_000_000_000), id: InvoiceId::from_random([1; 16]) };
        [Part::Newest, Part::OlderThan(cursor), Part::NewerThan(cursor)]
    }

    /// How SQLite goes about reading a part of a list.
    async fn plan(filter: &InvoiceFilter, part: Part) -> String {
        explain(list_statement(MerchantId(1), filter, part, 10)).await
    }

    async fn explain(mut statement: Statement) -> String {
        let dir = TempDir::new();
        let (store, _writer) = Store::open_file(&dir.path().join("test.db")).await.unwrap();
        let mut reader = store.reader().await.unwrap();
        statement.explain();
        let rows = statement.query().fetch_all(&mut *reader.tx().connection).await.unwrap();
        let steps = rows.iter().map(|row| row.get::<String, _>("detail")).collect::<Vec<_>>().join("; ");
        // What a part was found to hold is all wanted.
        steps.replace("SCAN part_", "")
    }

    #[track_caller]
    fn check(plan: &str, index: &str, count: usize) {
        assert_eq!(plan.matches("SEARCH").count(), count, "{plan}");
        assert_eq!(plan.matches(&format!("USING INDEX {index} (")).count(), count, "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }

    #[tokio::test]
    async fn every_page_is_read_from_an_index_in_its_order() {
        let created = CreatedBetween { from: Some(UnixMillis(1)), to: Some(UnixMillis(2)) };
        let statuses = vec![InvoiceStatus::Paid, InvoiceStatus::Expired];
        let customer_id = Some("c-1".to_owned());
        let environment = Some(Environment::Devnet);
        for part in parts() {
            check(&plan(&InvoiceFilter::default(), part).await, "invoices_by_created", 2);
            let filter = InvoiceFilter { environment, created, ..InvoiceFilter::default() };
            check(&plan(&filter, part).await, "invoices_by_created", 1);
            let filter = InvoiceFilter { statuses: statuses.clone(), ..filter };
            check(&plan(&filter, part).await, "invoices_by_status", 2);
            let filter = InvoiceFilter { customer_id: customer_id.clone(), ..InvoiceFilter::default() };
            check(&plan(&filter, part).await, "invoices_by_customer", 2);
        }
    }

    #[tokio::test]
    async fn sums_are_read_from_an_index_alone() {
        let environment = Some(Environment::Devnet);
        for filter in [InvoiceFilter::default(), InvoiceFilter { environment, ..InvoiceFilter::default() }] {
            let plan = explain(sums_statement(MerchantId(1), &filter)).await;
            assert!(plan.contains("USING COVERING INDEX invoices_by_status ("), "{plan}");
            assert!(!plan.contains("SCAN"), "{plan}");
        }
    }

    #[tokio::test]
    async fn to_skip_invoices_reads_no_more_than_their_places() {
        let plan = plan(&InvoiceFilter::default(), Part::Skip(1_000)).await;
        assert!(plan.contains("SEARCH invoices USING COVERING INDEX invoices_by_created ("), "{plan}");
        assert!(!plan.contains("SCAN"), "{plan}");
    }

    #[tokio::test]
    async fn no_filter_makes_a_sum_or_a_count_read_other_invoices() {
        let filter = InvoiceFilter::default;
        let created = CreatedBetween { from: Some(UnixMillis(1)), to: Some(UnixMillis(2)) };
        let statuses = vec![InvoiceStatus::Paid, InvoiceStatus::Expired];
        for (filter, search) in [
            (InvoiceFilter { created, ..filter() }, "(merchant_id=? AND environment=?"),
            (InvoiceFilter { statuses, ..filter() }, "(merchant_id=? AND environment=? AND status=?"),
            (
                InvoiceFilter { customer_id: Some("c".to_owned()), created, ..filter() },
                "invoices_by_customer (merchant_id=? AND environment=? AND customer_id=?",
            ),
            (InvoiceFilter { payer: Some("0xaa".to_owned()), ..filter() }, "(merchant_id=? AND payer=?"),
            (InvoiceFilter { payer_network: Some("base".to_owned()), ..filter() }, "(merchant_id=? AND network=?"),
        ] {
            for statement in [sums_statement(MerchantId(1), &filter), count_statement(MerchantId(1), &filter)] {
                let plan = explain(statement).await;
                assert!(plan.contains(search), "{plan}");
                assert!(!plan.contains("SCAN"), "{plan}");
            }
        }
    }

    #[tokio::test]
    async fn what_somebody_paid_and_what_a_network_carried_is_read_in_its_order() {
        let created = CreatedBetween { from: Some(UnixMillis(1)), to: Some(UnixMillis(2)) };
        let (payer, network) = (Some("0xAA".to_owned()), Some("base".to_owned()));
        for (payer, payer_network, lookup) in [
            (payer.clone(), None, "SEARCH found USING PRIMARY KEY (merchant_id=? AND payer=?"),
            (payer, network.clone(), "SEARCH found USING PRIMARY KEY (merchant_id=? AND payer=?"),
            (None, network, "SEARCH found USING PRIMARY KEY (merchant_id=? AND network=?"),
        ] {
            let filter = InvoiceFilter { payer, payer_network, ..InvoiceFilter::default() };
            let narrower = InvoiceFilter {
                statuses: vec![InvoiceStatus::Paid, InvoiceStatus::Expired],
                customer_id: Some("c-1".to_owned()),
                environment: Some(Environment::Devnet),
                created,
                ..filter.clone()
            };
            for (filter, part) in parts().map(|part| [(&filter, part), (&narrower, part)]).as_flattened() {
                let plan = plan(filter, *part).await;
                assert!(plan.contains(lookup), "{plan}");
                assert!(plan.contains("SEARCH invoices USING INDEX"), "{plan}");
                assert!(plan.contains("transfers_by_invoice (merchant_id=? AND invoice_id=?)"), "{plan}");
                assert!(plan.contains("(merchant_id=? AND invoice_id=?)"), "{plan}");
                assert!(!plan.contains("SCAN") && !plan.contains("TEMP B-TREE"), "{plan}");
            }
        }
    }
}
