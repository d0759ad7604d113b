//! Calls inside transactions, as nodes tell of them in one of two ways.

use alloy_primitives::{Address, U256};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::chains::rpc::Call;

/// A call and those inside it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub struct Trace {
    #[serde(rename = "type")]
    pub kind: String,
    pub from: Address,
    #[serde(default)]
    pub to: Option<Address>,
    #[serde(default)]
    pub value: Option<U256>,
    #[serde(default)]
    pub error: Option<String>,
    #[serde(default)]
    pub calls: Vec<Self>,
}

/// The method that a network's nodes have for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tracer {
    /// `debug_traceBlockByNumber`, which nests calls.
    Nested,
    /// `trace_block`, which lists them with the way to each.
    Flat,
}

impl Tracer {
    pub const FIRST: Self = Self::Nested;

    /// What may be known where this one is not.
    pub fn next(self) -> Option<Self> {
        match self {
            Self::Nested => Some(Self::Flat),
            Self::Flat => None,
        }
    }

    /// Asks for the calls of a block; its number is spelled as in JSON-RPC.
    pub fn call(self, block: &str) -> Call {
        match self {
            Self::Nested => Call::new("debug_traceBlockByNumber", json!([block, { "tracer": "callTracer" }])),
            Self::Flat => Call::new("trace_block", json!([block])),
        }
    }

    /// The calls of each transaction, in their order. Tracers differ; `None` if this answer cannot be read.
    pub fn read(self, answer: Value) -> Option<Vec<Trace>> {
        #[derive(Deserialize)]
        struct Traced {
            result: Trace,
        }
        match self {
            Self::Nested => {
                let traced: Vec<Traced> = serde_json::from_value(answer).ok()?;
                Some(traced.into_iter().map(|traced| traced.result).collect())
            }
            Self::Flat => nested(serde_json::from_value(answer).ok()?),
        }
    }
}

/// One call of a list.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct FlatCall {
    #[serde(rename = "type")]
    kind: String,
    action: Action,
    /// Of a contract that was created.
    #[serde(default)]
    result: Option<Created>,
    #[serde(default)]
    error: Option<String>,
    /// The way to it: the first number says in which of the outermost call's calls it is, and so on.
    trace_address: Vec<usize>,
    /// `None` for what the block pays its maker.
    #[serde(default)]
    transaction_position: Option<usize>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Action {
    #[serde(default)]
    call_type: Option<String>,
    #[serde(default)]
    from: Option<Address>,
    #[serde(default)]
    to: Option<Address>,
    #[serde(default)]
    value: Option<U256>,
    /// Of a contract that dies, with what becomes of its coin.
    #[serde(default)]
    address: Option<Address>,
    #[serde(default)]
    refund_address: Option<Address>,
    #[serde(default)]
    balance: Option<U256>,
}

#[derive(Deserialize)]
struct Created {
    #[serde(default)]
    address: Option<Address>,
}

impl FlatCall {
    fn into_trace(self) -> Option<Trace> {
        let action = self.action;
        let (kind, from, to, value) = match self.kind.as_str() {
            "call" => (action.call_type?.to_uppercase(), action.from?, action.to, action.value),
            "create" => {
                ("CREATE".to_owned(), action.from?, self.result.and_then(|created| created.address), action.value)
            }
            "suicide" | "selfdestruct" => {
                ("SELFDESTRUCT".to_owned(), action.address?, action.refund_address, action.balance)
            }
            _ => return None,
        };
        Some(Trace { kind, from, to, value, error: self.error, calls: Vec::new() })
    }
}

/// Puts calls into those they came from, which are listed before them. `None` if one is missing.
fn nested(calls: Vec<FlatCall>) -> Option<Vec<Trace>> {
    let mut transactions: Vec<Trace> = Vec::new();
    for call in calls {
        let Some(position) = call.transaction_position else { continue };
        let way = call.trace_address.clone();
        let trace = call.into_trace()?;
        let Some((last, outer)) = way.split_last() else {
            if position != transactions.len() {
                return None;
            }
            transactions.push(trace);
            continue;
        };
        let outermost = transactions.get_mut(position)?;
        let parent = outer.iter().try_fold(outermost, |trace, index| trace.calls.get_mut(*index))?;
        if *last != parent.calls.len() {
            return None;
        }
        parent.calls.push(trace);
    }
    Some(transactions)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(byte: u8) -> Address {
        Address::repeat_byte(byte)
    }

    fn call(kind: &str, from: u8, to: u8, value: u64, calls: Vec<Trace>) -> Trace {
        Trace {
            kind: kind.to_owned(),
            from: address(from),
            to: Some(address(to)),
            value: Some(U256::from(value)),
            error: None,
            calls,
        }
    }

    fn flat(position: usize, way: &[usize], from: u8, to: u8, value: u64) -> Value {
        json!({
            "type": "call", "traceAddress": way, "transactionPosition": position, "subtraces": 0,
            "action": { "callType": "call", "from": address(from), "to": address(to), "value": U256::from(value) },
            "result": { "gasUsed": "0x0", "output": "0x" },
        })
    }

    #[test]
    fn a_list_is_nested_by_the_way_to_each_call() {
        let mut failed = flat(0, &[1], 1, 4, 9);
        failed["error"] = json!("Reverted");
        failed["result"] = Value::Null;
        let mut delegated = flat(1, &[0], 5, 6, 7);
        delegated["action"]["callType"] = json!("delegatecall");
        let dies = json!({
            "type": "suicide", "traceAddress": [0, 0], "transactionPosition": 1, "result": null,
            "action": { "address": address(6), "refundAddress": address(7), "balance": "0x3" },
        });
        let creates = json!({
            "type": "create", "traceAddress": [1], "transactionPosition": 1,
            "action": { "from": address(5), "value": "0x2", "init": "0x" }, "result": { "address": address(8) },
        });
        let reward = json!({
            "type": "reward", "traceAddress": [], "action": { "author": address(9), "value": "0x1", "rewardType": "block" },
        });
        let list = [
            flat(0, &[], 0, 1, 10),
            flat(0, &[0], 1, 2, 4),
            flat(0, &[0, 0], 2, 3, 1),
            failed,
            flat(1, &[], 0, 5, 0),
            delegated,
            dies,
            creates,
            reward,
        ];
        let mut failed = call("CALL", 1, 4, 9, vec![]);
        failed.error = Some("Reverted".to_owned());
        let expected = vec![
            call("CALL", 0, 1, 10, vec![call("CALL", 1, 2, 4, vec![call("CALL", 2, 3, 1, vec![])]), failed]),
            call(
                "CALL",
                0,
                5,
                0,
                vec![
                    call("DELEGATECALL", 5, 6, 7, vec![call("SELFDESTRUCT", 6, 7, 3, vec![])]),
                    call("CREATE", 5, 8, 2, vec![]),
                ],
            ),
        ];
        assert_eq!(Tracer::Flat.read(json!(list)), Some(expected));
    }

    #[test]
    fn a_list_that_lacks_a_call_cannot_be_read() {
        let outermost = flat(0, &[], 0, 1, 10);
        for list in [
            json!([flat(0, &[0], 1, 2, 4)]),
            json!([outermost, flat(0, &[1], 1, 2, 4)]),
            json!([outermost, flat(0, &[0, 0], 1, 2, 4)]),
            json!([outermost, flat(2, &[], 1, 2, 4)]),
            json!([outermost, outermost]),
            json!([{ "type": "call" }]),
            json!("no"),
        ] {
            assert_eq!(Tracer::Flat.read(list.clone()), None, "{list}");
        }
    }
}
