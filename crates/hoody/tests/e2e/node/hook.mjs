// An endpoint that verifies what it gets with the reference library of Standard Webhooks, and prints it, a
// line of JSON each. The secret comes as a line of standard input, before anything is sent.
import http from "node:http";
import readline from "node:readline";
import { Webhook } from "standardwebhooks";

const say = (what) => process.stdout.write(JSON.stringify(what) + "\n");
const secrets = [];
readline.createInterface({ input: process.stdin }).on("line", (line) => secrets.push(line.trim()));
process.stdin.on("end", () => process.exit(0));

const server = http.createServer((request, response) => {
  let body = "";
  request.on("data", (chunk) => (body += chunk));
  request.on("end", () => {
    const verdicts = secrets.map((secret) => {
      try {
        new Webhook(secret).verify(body, request.headers);
        return true;
      } catch (error) {
        return error.message;
      }
    });
    say({ id: request.headers["webhook-id"], type: JSON.parse(body).type, verdicts });
    response.writeHead(204).end();
  });
});
server.listen(0, "127.0.0.1", () => say({ port: server.address().port }));
