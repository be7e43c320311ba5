/** Requests to our own server: JSON both ways, the CSRF header, and errors that say what happened and what to do. */

/** The server's refusal. `status` 0 means that it was not reached. */
export class Refusal extends Error {
  constructor(status, what, then = "") {
    super(what);
    this.status = status;
    this.then = then;
  }

  /** Whether the same request may succeed later. */
  get isPassing() {
    return this.status === 0 || this.status === 408 || this.status === 429 || this.status >= 500;
  }
}

/** @param {string} path */
export const getJson = (path) => request(path, { method: "GET" });

/** @param {string} path @param {unknown} body a value, or JSON text that must go out byte for byte */
export async function postJson(path, body) {
  const text = typeof body === "string" ? body : JSON.stringify(body);
  const send = () => {
    const headers = { "Content-Type": "application/json", "X-CSRF-Token": tokenOf(document).content };
    return request(path, { method: "POST", body: text, headers });
  };
  try {
    return await send();
  } catch (error) {
    if (error.status !== 403 || !(await renewToken())) throw error;
    return send();
  }
}

/** Say something while the page is left: nobody waits for the answer, and without one nothing is lost. */
export function postLeaving(path, body) {
  const headers = { "Content-Type": "application/json", "X-CSRF-Token": tokenOf(document).content };
  request(path, { method: "POST", body: JSON.stringify(body), headers, keepalive: true }).catch(() => null);
}

/** An address of this service, also where it lies below a path of its host. */
export const below = (path) => (document.documentElement.dataset.below ?? "") + path;

const tokenOf = (page) => page.querySelector('meta[name="csrf"]') ?? { content: "" };

/** Who signed in again in another tab has a new token: take it over, if it is the same person's page. */
async function renewToken() {
  const answer = await fetch(location.href, { headers: { Accept: "text/html" }, cache: "no-store" }).catch(() => null);
  if (!answer?.ok) return false;
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const raterOn = (one) => JSON.parse(one.getElementById("boot")?.textContent || "{}").rater;
  if (raterOn(page) !== raterOn(document) || tokenOf(page).content === tokenOf(document).content) return false;
  tokenOf(document).content = tokenOf(page).content;
  return true;
}

async function request(path, options) {
  let answer;
  try {
    answer = await fetch(below(path), {
      credentials: "same-origin",
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(20_000),
      ...options,
    });
  } catch (error) {
    throw new Refusal(0, String(error.message ?? error));
  }
  const said = await answer.json().catch(() => null);
  if (answer.ok && said !== null) return said;
  const error = said?.error ?? {};
  throw new Refusal(answer.status, error.what ?? answer.statusText ?? String(answer.status), error.do ?? "");
}
