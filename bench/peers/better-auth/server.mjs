// better-auth's API keys behind a bare node:http server: 204 for a key that is in force, else 401.
import { createServer } from "node:http";
import { writeFileSync } from "node:fs";
import Database from "better-sqlite3";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { apiKey } from "@better-auth/api-key";

const [directory, count] = [process.argv[2], Number(process.argv[3])];
const database = new Database(`${directory}/auth.db`);
database.pragma("journal_mode = WAL");
database.pragma("synchronous = NORMAL");
const auth = betterAuth({
  database,
  secret: "0123456789abcdef0123456789abcdef",
  baseURL: "http://127.0.0.1:0",
  emailAndPassword: { enabled: true },
  rateLimit: { enabled: false },
  logger: { disabled: true },
  // Its best setting for checks: no rate limit for each key, which would write with every check.
  plugins: [apiKey({ rateLimit: { enabled: false }, deferUpdates: true, enableMetadata: false })],
  advanced: { backgroundTasks: { handler: (promise) => void promise } },
});
const { runMigrations } = await getMigrations(auth.options);
await runMigrations();
const { user } = await auth.api.signUpEmail({
  body: { name: "bench", email: "bench@example.com", password: "correct horse battery" },
});
const keys = [];
for (let n = 0; n < count; n++) {
  keys.push((await auth.api.createApiKey({ body: { userId: user.id, name: `key ${n}` } })).key);
}
writeFileSync(`${directory}/keys`, keys.join("\n"));
const server = createServer(async (request, response) => {
  const key = (request.headers.authorization ?? "").slice("Bearer ".length);
  const found = await auth.api.verifyApiKey({ body: { key } });
  response.statusCode = found.valid ? 204 : 401;
  response.end();
});
server.listen(0, "127.0.0.1", () => console.error(`better-auth listens on http://127.0.0.1:${server.address().port}`));
