// A Durable Object with SQLite storage per user, and the worker in front of it. What a request means is what the other
// contenders understand by it: {"sql", "params"} or {"statements": [...]}, all of a request in one implicit
// transaction, the answer held back by the output gate until the commit is on disk.
import { DurableObject } from "cloudflare:workers";
import { SCHEMA } from "schema";

const USER = /^\/v1\/users\/([A-Za-z0-9._@-]+)\/sql$/;
const JSON_TYPE = { headers: { "content-type": "application/json" } };

export class UserDatabase extends DurableObject {
  constructor(ctx, env) {
    super(ctx, env);
    this.sql = ctx.storage.sql;
    this.sql.exec(SCHEMA);
  }

  async fetch(request) {
    const body = await request.json();
    const statements = body.statements ?? [body];
    const results = [];
    for (const { sql, params } of statements) {
      const cursor = params ? this.sql.exec(sql, ...params) : this.sql.exec(sql);
      const rows = Array.from(cursor.raw());
      results.push({ columns: cursor.columnNames, rows, changes: cursor.rowsWritten });
    }
    return new Response(JSON.stringify({ results }), JSON_TYPE);
  }
}

export default {
  async fetch(request, env) {
    const match = USER.exec(new URL(request.url).pathname);
    if (match === null || request.method !== "POST") {
      return new Response("not found", { status: 404 });
    }
    return env.USERS.get(env.USERS.idFromName(match[1])).fetch(request);
  },
};
