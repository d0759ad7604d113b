// Creates an invoice with the TypeScript client, tells its maker about it, and waits until it is paid.

const { Pepay } = await import(process.env.CLIENT);

const pepay = new Pepay({ apiKey: process.env.PEPAY_KEY, baseUrl: process.env.PEPAY_URL });
const created = await pepay.invoices.create({ amount_usd: '49.999' });
console.log(JSON.stringify(created));

const { invoice, latest_payment } = await pepay.invoices.waitForStatus(created.invoice_id, { status: 'paid', pollMs: 50 });
const { payments } = await pepay.invoices.retrieve(invoice.id, { expand: 'payments' });
const found = [];
for await (const { id } of pepay.invoices.list({ payer_wallet_address: invoice.payer_wallet_address })) found.push(id);
console.log(JSON.stringify({ invoice, latest_payment, payments, found }));
