// A server that gives the answers of a case of sdk/conformance.json, one by one.
import http from 'node:http';

const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Starts it; `requests` tells what came. */
export async function scripted(script, token) {
  const requests = [];
  const open = new Set();
  const server = http.createServer(async (request, response) => {
    let body = '';
    for await (const chunk of request) body += chunk;
    const bearer = (request.headers.authorization ?? 'none').replace(/^Bearer /, '');
    const credential = bearer === token ? 'token' : bearer;
    const at = requests.push({
      line: `${request.method} ${request.url} ${credential}`,
      lastEventId: request.headers['last-event-id'] ?? null,
      headers: request.headers,
      body,
      time: performance.now(),
    });
    const answer = script.by_credential ? script.by_credential[bearer] : script.answers[at - 1];
    open.add(response);
    await give(answer ?? { status: 599, text: 'nothing more is in the script' }, response);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    base: `http://127.0.0.1:${server.address().port}`,
    requests,
    async stop() {
      for (const response of open) response.destroy();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function give(answer, response) {
  if (answer.wait) await sleep(answer.wait);
  if (answer.drop) return response.destroy();
  if (answer.chunks) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (const chunk of answer.chunks) {
      response.write(chunk);
      await sleep(5);
    }
    return answer.open ? undefined : response.end();
  }
  if (answer.status === undefined) return undefined;
  const headers = { 'content-type': 'application/json', ...answer.headers };
  response.writeHead(answer.status, headers);
  return response.end(answer.text ?? (answer.body === undefined ? '' : JSON.stringify(answer.body)));
}
