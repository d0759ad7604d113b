// JSON with the whole range of 64-bit integers, which JSON.stringify refuses and floats cannot hold.

/** The JSON text of a value, big integers as the numbers they are. */
export function jsonText(value) {
  if (typeof value === "bigint") return value.toString();
  if (Array.isArray(value)) return `[${value.map((item) => jsonText(item ?? null)).join(",")}]`;
  if (value === null || typeof value !== "object") return JSON.stringify(value);
  const fields = Object.entries(value).filter(([, item]) => item !== undefined);
  return `{${fields.map(([name, item]) => `${JSON.stringify(name)}:${jsonText(item)}`).join(",")}}`;
}
