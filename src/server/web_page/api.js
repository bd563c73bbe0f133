// api.js - asking this server: requests with the key, errors in one form, streams of events.
//
// The key is kept for this tab only (sessionStorage), and sent to the origin of this page only.

const KEY = "hearth.key";
const EVENT_CHARS_MAX = 64 << 20; // of one event: a summary with its sources is the longest

export function apiKey() {
  try {
    return sessionStorage.getItem(KEY) ?? "";
  } catch {
    return "";
  }
}

let wantsKey = () => {};

// Called when the server wants a key, or another one; with whether somebody asked for something.
export function onWantsKey(call) {
  wantsKey = call;
}

export function setApiKey(key) {
  try {
    if (key) {
      sessionStorage.setItem(KEY, key);
    } else {
      sessionStorage.removeItem(KEY);
    }
  } catch { /* without storage there is no key */ }
}

// What went wrong; status 0: the server was not reached, or broke off.
export class ApiError extends Error {
  constructor(status, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.retryAfter = retryAfter;
  }
}

async function readError(response) {
  let message = `The server answered ${response.status} ${response.statusText}`.trim() + ".";
  try {
    const told = (await response.json()).error?.message;
    message = typeof told === "string" && told ? told : message;
  } catch { /* no JSON: the status says it */ }
  return new ApiError(response.status, message, Number(response.headers.get("retry-after")) || 0);
}

// The response of a request that went well; else throws an ApiError, or AbortError.
export async function request(path, { body, signal } = {}) {
  const headers = {};
  const key = apiKey();
  if (key) {
    headers.authorization = `Bearer ${key}`;
  }
  if (body !== undefined) {
    headers["content-type"] = "application/json";
  }
  let response;
  try {
    response = await fetch(path, {
      method: body === undefined ? "GET" : "POST", headers, signal, cache: "no-store",
      body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit", redirect: "error",
    });
  } catch (error) {
    if (error.name === "AbortError") {
      throw error;
    }
    throw new ApiError(0, "The server cannot be reached.");
  }
  if (response.status === 401 && key !== apiKey()) {
    return request(path, { body, signal }); // a refusal of a key that was replaced while it was on its way
  }
  if (response.status === 401) {
    wantsKey(body !== undefined);
  }
  if (!response.ok) {
    throw await readError(response);
  }
  return response;
}

export async function getJson(path, signal) {
  return (await request(path, { signal })).json();
}

function parseEvent(text) {
  const data = [];
  let kind = "message";
  for (const line of text.split("\n")) {
    if (line.startsWith("data:")) {
      data.push(line.slice(5).replace(/^ /, ""));
    } else if (line.startsWith("event:")) {
      kind = line.slice(6).trim();
    }
  }
  return data.length ? { kind, data: data.join("\n") } : null;
}

// The events of a stream as they come: {kind, data}.
async function* eventsOf(response) {
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let pending = "";
  try {
    for (;;) {
      const { value, done } = await reader.read();
      pending = (pending + (value ?? "")).replaceAll("\r\n", "\n");
      const parts = pending.split("\n\n");
      pending = parts.pop();
      for (const part of parts) {
        const event = parseEvent(part);
        if (event) {
          yield event;
        }
      }
      if (done) {
        return;
      }
      if (pending.length > EVENT_CHARS_MAX) {
        throw new ApiError(0, "The server sends an event without an end.");
      }
    }
  } catch (error) {
    if (error instanceof ApiError || error.name === "AbortError") {
      throw error;
    }
    throw new ApiError(0, "The connection broke off before the answer ended.");
  } finally {
    reader.cancel().catch(() => {});
  }
}

function parseData(event) {
  let value;
  try {
    value = JSON.parse(event.data);
  } catch {
    throw new ApiError(0, "The server sent an event that is not JSON.");
  }
  if (value.error) {
    throw new ApiError(0, String(value.error.message ?? "The answer ended with an error."));
  }
  return value;
}

// Chunks of a chat completion, as they come; throws if it breaks off before its end.
export async function* streamChat(body, signal) {
  for await (const event of eventsOf(await request("/v1/chat/completions", { body, signal }))) {
    if (event.data === "[DONE]") {
      return;
    }
    yield parseData(event);
  }
  throw new ApiError(0, "The connection broke off before the answer ended.");
}

// Events of POST /v1/summaries: {kind: progress | text | restart | summary, value}, that last.
export async function* streamSummary(body, signal) {
  for await (const event of eventsOf(await request("/v1/summaries", { body, signal }))) {
    yield { kind: event.kind, value: parseData(event) };
    if (event.kind === "summary") {
      return;
    }
  }
  throw new ApiError(0, "The connection broke off before the summary ended.");
}
