/** What a query's parameter may be given as: times also as dates, lists also as arrays. */
export type QueryValue = string | number | boolean | Date | readonly (string | number)[] | undefined;

/** The query's text with its question mark; empty if nothing is asked for. */
export function queryText(parameters: Record<string, QueryValue>): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue;
    if (value instanceof Date) query.append(name, String(Math.floor(value.getTime() / 1000)));
    else if (Array.isArray(value)) query.append(name, value.join(','));
    else query.append(name, String(value));
  }
  const text = query.toString();
  return text === '' ? '' : `?${text}`;
}
