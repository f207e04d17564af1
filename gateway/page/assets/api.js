// Calls to the gateway, and its errors (AIP-193) as one kind of exception.

const TIMEOUT = 15_000;
const PAUSES = [400, 1200, 3000]; // before each further try

/** A call that failed. `status` is the gRPC code, or OFFLINE when no answer came at all. */
export class ApiError extends Error {
  constructor({ status = "UNKNOWN", message = "", details = [] } = {}) {
    super(message);
    this.status = status;
    const info = details.find((detail) => detail.reason && detail.domain) ?? {};
    this.reason = info.reason ?? "";
    this.service = info.metadata?.service ?? "";
    /** What is wrong with which field: [{field, description}]. */
    this.violations = details.flatMap((detail) => detail.field_violations ?? []);
  }

  static offline() {
    return new ApiError({ status: "OFFLINE", message: "the gateway does not answer" });
  }

  /** Whether the same call may well succeed later. */
  get passes() {
    return ["OFFLINE", "UNAVAILABLE", "DEADLINE_EXCEEDED"].includes(this.status);
  }
}

async function call(path, options, signal) {
  let response;
  const limit = AbortSignal.timeout(TIMEOUT);
  try {
    response = await fetch(path, { ...options, signal: signal ? AbortSignal.any([signal, limit]) : limit });
    if (response.ok) return await response.json();
  } catch (error) {
    if (signal?.aborted) throw error; // whoever asked has left
    throw ApiError.offline();
  }
  const answer = await response.json().catch(() => ({}));
  throw new ApiError(answer.error ?? { status: "UNKNOWN", message: `the answer was HTTP ${response.status}` });
}

/** Gets a resource. Lists among the parameters are repeated, and what is undefined or empty is left out. */
export function get(path, parameters = {}, signal = undefined) {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(parameters)) {
    for (const each of [value].flat()) if (each !== undefined && each !== "") query.append(name, each);
  }
  return call(query.size ? `${path}?${query}` : path, {}, signal);
}

/**
 * Posts a request, several times if need be. That is safe because every try carries the same request_id: a server
 * that took the first one answers the later ones with the same result.
 */
export async function post(path, body, signal = undefined) {
  const options = {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
  };
  for (const pause of PAUSES) {
    try {
      return await call(path, options, signal);
    } catch (error) {
      if (!error.passes) throw error;
      await new Promise((resolve) => setTimeout(resolve, pause));
    }
  }
  return call(path, options, signal);
}

/**
 * Gives request ids: the same one as long as the same values are sent, so that a double click or another try never
 * does a thing twice, and a new one for other values, since a server refuses those under an old id.
 */
export class Intent {
  #values = null;
  #id = "";

  id(values) {
    const text = JSON.stringify(values);
    if (text !== this.#values) {
      this.#values = text;
      this.#id = newId();
    }
    return this.#id;
  }

  /** The thing is done: the next time is another one. */
  done() {
    this.#values = null;
  }
}

function newId() {
  // A page that came over plain HTTP from another machine has no randomUUID.
  if (crypto.randomUUID) return crypto.randomUUID();
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}
