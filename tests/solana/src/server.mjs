// JSON-RPC over HTTP on loopback.

import { createServer } from "node:http";

import { code } from "./errors.mjs";
import { jsonText } from "./json.mjs";
import { failure } from "./node.mjs";

/** What Solana's nodes accept, in bytes. */
const MAX_BODY = 50 * 1024;

/** Answers calls of a node on a port of 127.0.0.1; port 0 takes a free one. */
export async function serve(node, port) {
  const server = createServer((request, response) => {
    answer(node, request, response).catch((error) => {
      // The caller went away, or sent what is no HTTP body; there is nobody to tell.
      if (!request.errored && !request.destroyed) console.error("a request failed:", error);
      response.destroy();
    });
  });
  // A connection that is closed for being idle just as somebody asks on it would fail a test now and then.
  server.keepAliveTimeout = 0;
  await new Promise((resolve, reject) => server.once("error", reject).listen(port, "127.0.0.1", resolve));
  return server;
}

async function answer(node, request, response) {
  // As nodes do: any page may call. There is nothing here that is worth anything.
  response.setHeader("access-control-allow-origin", "*");
  if (request.method === "OPTIONS") {
    response.writeHead(204, {
      "access-control-allow-methods": "POST",
      "access-control-allow-headers": "content-type, solana-client",
    });
    return response.end();
  }
  if (request.method === "GET" && request.url === "/health") return end(response, 200, "ok", "text/plain");
  if (request.method !== "POST") {
    return end(response, 405, "Used HTTP Method is not allowed. POST is required", "text/plain");
  }
  if (!/^application\/json\b/i.test(request.headers["content-type"] ?? "")) {
    const message = "Supplied content type is not allowed. Content-Type: application/json is required";
    return end(response, 415, message, "text/plain");
  }
  const body = await read(request);
  if (body === undefined) return end(response, 413, "The request body is too large", "text/plain");
  const answered = await answerText(node, body);
  return end(response, 200, answered === undefined ? "" : jsonText(answered), "application/json");
}

async function answerText(node, body) {
  let request;
  try {
    request = JSON.parse(body);
  } catch {
    return failure(null, code.PARSE, "Parse error");
  }
  if (!Array.isArray(request)) return node.answer(request);
  if (request.length === 0) return failure(null, code.INVALID_REQUEST, "Invalid request");
  const answers = [];
  // One after the other: a batch may send and then ask.
  for (const one of request) answers.push(await node.answer(one));
  const wanted = answers.filter((one) => one !== undefined);
  return wanted.length === 0 ? undefined : wanted;
}

/** The body, or undefined if it is too large; then it is read to its end all the same, so that the caller gets the answer. */
async function read(request) {
  const chunks = [];
  let size = 0;
  for await (const chunk of request) {
    size += chunk.length;
    if (size <= MAX_BODY) chunks.push(chunk);
  }
  return size <= MAX_BODY ? Buffer.concat(chunks).toString("utf8") : undefined;
}

function end(response, status, body, type) {
  response.writeHead(status, { "content-type": type }).end(body);
}
