"""What a JSON schema cannot say of good requests, and what must not be done in a test.

Bad requests are left alone: whatever is wrong with them must be refused.
"""

import atexit
import collections
import json
import os
import uuid

import schemathesis

# As compact JSON; larger ones are refused.
MOST_JSON_BYTES = 512
LATEST_SECONDS = 253_402_300_799


@schemathesis.hook
def before_call(context, case, kwargs):
    keep_what_is_needed(case)
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    if (case.headers or {}).get("Idempotency-Key") == "":
        # An optional header without a value is taken for a good one, whatever its pattern says.
        del case.headers["Idempotency-Key"]
    if case.path.endswith("/deliveries/{event_id}/redeliver"):
        # Two ids that belong together are not found by chance.
        case.path_parameters["webhook_id"] = os.environ["PEPAY_WEBHOOK_ID"]
        case.path_parameters["event_id"] = os.environ["PEPAY_EVENT_ID"]
    if str((case.path_parameters or {}).get("wallet_id", "")).startswith("0x"):
        # It takes the address in the answer to one operation for the id that another asks for.
        case.path_parameters["wallet_id"] = str(uuid.uuid4())
    if isinstance(case.query, dict):
        mend_query(case.operation.path, case.query)
    if isinstance(case.body, dict):
        mend_body(case.method, case.operation.path, case.body)


def keep_what_is_needed(case):
    """Neither the key that all this is done with is revoked, nor the webhook deleted that is owed something."""
    kept = {"key_id": os.environ["PEPAY_MERCHANT_KEY_ID"]}
    if case.method == "DELETE":
        kept["webhook_id"] = os.environ["PEPAY_WEBHOOK_ID"]
    for name, value in kept.items():
        if (case.path_parameters or {}).get(name) == value:
            case.path_parameters[name] = str(uuid.uuid4())


def mend_query(path, query):
    # A cursor is the id of something in the list, and there is one way at a time to say where a page starts.
    for name in ("starting_after", "ending_before"):
        query.pop(name, None)
    if "page" in query:
        # Times the limit it is less than what may be skipped.
        query["page"] = min(int(query["page"]), 1000)
    if path.startswith("/api/v1/payments/"):
        # The session says which invoice is meant; another one is refused.
        query.pop("invoice_id", None)
    if "network" in query or query.get("mode") == "network":
        query["network"] = "ethereum"


def mend_body(method, path, body):
    for name, value in body.items():
        # To JSON Schema 288.0 is an integer; to this server it is none.
        if isinstance(value, float) and value.is_integer():
            body[name] = int(value)
    amount = body.get("amount_usd")
    if isinstance(amount, (int, float)) and not isinstance(amount, bool):
        # A multiple of 0.001 is none any more once it is a binary fraction.
        body["amount_usd"] = round(amount, 3)
    for name in ("metadata", "questions"):
        if len(json.dumps(body.get(name), ensure_ascii=False, separators=(",", ":")).encode()) > MOST_JSON_BYTES:
            body[name] = None
    questions = body.get("questions")
    if isinstance(questions, dict):
        # Each has an id of its own.
        for number, question in enumerate(questions.get("questions") or []):
            question["id"] = str(number)
    if body.get("payment_return_url") is not None:
        body["payment_return_url"] = "https://shop.example/thanks"
    for name in ("receiver_override_enable", "receiver_override_address"):
        body.pop(name, None)
    # The server has one network, with one token.
    for name, value in [("network", "ethereum"), ("networks", ["ethereum"]), ("tokenId", 1), ("settlement_token_id", 1)]:
        if body.get(name) is not None:
            body[name] = value
    if path.startswith("/api/v1/webhooks"):
        mend_webhook(method, path, body)
    if body.get("expires_at") is not None:
        body["expires_at"] = LATEST_SECONDS
    if body.get("scope") == "commerce":
        body.pop("rights", None)


def mend_webhook(method, path, body):
    if path == "/api/v1/webhooks" or method == "PUT" or "enabled_events" in body:
        # The older kind of endpoint knows fewer types; both know all.
        body["enabled_events"] = ["*"]
    if "url" in body:
        # Nobody listens there, and nothing leaves this machine.
        body["url"] = "http://127.0.0.1:9/webhooks"
    if path.endswith("/deliveries/redeliver"):
        # One way to say which.
        body.clear()
        body["failed_since"] = 0


# How often each operation was called and what it answered, for whoever wants to know that all was tested.
TALLY = collections.defaultdict(collections.Counter)


@schemathesis.hook
def after_call(context, case, response):
    operation = case.operation.definition.raw.get("operationId", case.operation.label)
    TALLY[operation][str(response.status_code)] += 1


@atexit.register
def write_tally():
    with open(os.environ["PEPAY_TALLY"], "w", encoding="utf-8") as file:
        json.dump(TALLY, file)
