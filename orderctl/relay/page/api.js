/** The relay's admin API. */

const PATIENCE = 15_000;

/** The relay answered, but not with what was asked for; `status` 0: it did not answer. */
export class ApiError extends Error {
  constructor(status, message) {
    super(message);
    this.name = "ApiError";
    this.status = status;
  }
}

export class Api {
  #token;

  /** @param {import("./token.js").Token} token Asked for when the relay wants one. */
  constructor(token) {
    this.#token = token;
  }

  /** Read; parameters that are null or empty are left out. */
  get(path, parameters = {}) {
    const query = new URLSearchParams(
      Object.entries(parameters).filter(([, value]) => value !== null && value !== undefined && value !== ""),
    );
    const suffix = query.size ? `?${query}` : "";
    return this.#fetch(`api/admin/${path}${suffix}`, {});
  }

  /** Who asks, and what that allows. */
  async session() {
    return (await this.#fetch("api/session", {})).data;
  }

  /** Act on a task: `retry` or `cancel`. The header is one that no stranger's page can send. */
  act(taskId, action) {
    return this.#fetch(`api/admin/tasks/${taskId}/${action}`, {
      method: "POST",
      headers: { "X-Orderctl-Action": action },
    });
  }

  async #fetch(path, options) {
    for (;;) {
      const used = this.#token.value;
      const response = await send(path, {
        ...options,
        headers: { ...options.headers, ...authorization(used) },
      });
      const body = await parse(response);
      if (response.ok) return body;
      const why =
        typeof body?.error === "string" ? body.error : `the relay answered with status ${response.status}`;
      if (response.status !== 401) throw new ApiError(response.status, why);
      await this.#token.renew(used, used === null ? "" : why);
    }
  }
}

function authorization(token) {
  return token === null ? {} : { Authorization: `Bearer ${token}` };
}

async function send(path, options) {
  try {
    return await fetch(path, {
      cache: "no-store",
      redirect: "error",
      signal: AbortSignal.timeout(PATIENCE),
      ...options,
    });
  } catch (error) {
    throw new ApiError(
      0,
      error.name === "TimeoutError"
        ? "the relay did not answer within 15 seconds"
        : "the relay cannot be reached",
    );
  }
}

async function parse(response) {
  try {
    return await response.json();
  } catch {
    if (response.ok) throw new ApiError(response.status, "the relay's answer is not JSON");
    return null;
  }
}
