import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { load } from './load.mjs';
import { scripted } from './scripted.mjs';

const file = JSON.parse(readFileSync(new URL('../../conformance.json', import.meta.url), 'utf8'));
const names = JSON.parse(readFileSync(new URL('../../names.json', import.meta.url), 'utf8'));
const { HoodyClient, HoodyError, isHoodyError } = await load('index');
const CANARY = /canary/i;

/** The call of an operationId, made. */
function call(client, script) {
  if (script.call === 'stream_events') return client.api.events.stream(script.query, { silence: script.client?.silence_ms });
  const [resource, name] = names.operations[script.call].name.split('.');
  const args = [...(script.args ?? []), ...(script.body ? [script.body] : []), ...(script.query ? [script.query] : [])];
  return client.api[resource][name](...args);
}

async function run(client, script) {
  if (script.at_once) return void (await Promise.all(Array.from({ length: script.at_once }, () => call(client, script))));
  const made = call(client, script);
  if (!script.iterate && !script.take) return void (await made);
  const ids = [];
  const ended = { ids, resume: undefined };
  try {
    for await (const item of made) if (ids.push(item.id) === script.take) break;
  } catch (error) {
    ended.error = error;
  }
  ended.resume = made.lastEventId;
  return ended;
}

for (const script of file.cases) {
  test(script.name, async () => {
    const server = await scripted(script, file.token);
    const tokens = [];
    const given = script.client ?? {};
    const client = new HoodyClient({
      baseURL: server.base,
      token: given.token ?? file.token,
      refreshToken: given.refresh_token,
      credentials: given.credentials,
      timeout: given.timeout_ms,
      maxRetries: given.max_retries,
      onTokens: (pair) => void tokens.push([pair.token, pair.refreshToken]),
    });
    let ended;
    try {
      ended = (await run(client, script)) ?? {};
    } catch (error) {
      ended = { error };
    } finally {
      await server.stop();
    }
    const { expect } = script;
    check(expect, server.requests);
    if (expect.tokens) assert.deepEqual(tokens, expect.tokens);
    if (expect.ids) assert.deepEqual(ended.ids, expect.ids);
    if (expect.resume) assert.equal(ended.resume, expect.resume);
    if (expect.error) checkError(expect.error, ended.error);
    else if (ended.error) throw ended.error;
    assert.doesNotMatch(inspect(client, { depth: 99, showHidden: true, getters: true }) + JSON.stringify(client), CANARY);
  });
}

function check(expect, requests) {
  const lines = requests.map((request) => request.line);
  if (expect.requests) assert.deepEqual(lines, expect.requests);
  for (const [line, count] of Object.entries(expect.counts ?? {})) assert.equal(lines.filter((one) => one === line).length, count, line);
  if (expect.last_event_ids) assert.deepEqual(requests.map((request) => request.lastEventId), expect.last_event_ids);
  (expect.pauses ?? []).forEach(([least, most], at) => {
    const pause = requests[at + 1].time - requests[at].time;
    assert.ok(pause >= least && pause <= most, `pause ${at} is ${pause} ms, not ${least} to ${most}`);
  });
}

function checkError(expected, error) {
  assert.ok(error instanceof HoodyError && isHoodyError(error), inspect(error));
  assert.equal(error.name, expected.class, inspect(error));
  if (expected.status !== undefined) assert.equal(error.status, expected.status);
  if (expected.code !== undefined) assert.equal(error.code, expected.code);
  if (expected.retry_after !== undefined) assert.equal(error.retryAfter, expected.retry_after);
  if (expected.violations) assert.deepEqual(error.violations.map((one) => one.instancePath), expected.violations);
  if (expected.mentions) assert.ok(error.message.includes(expected.mentions), error.message);
  assert.equal(error.isOutcomeUnknown, expected.outcome_unknown ?? false);
  const shown = [inspect(error, { depth: 99, showHidden: true, getters: true }), JSON.stringify(error), String(error), error.stack];
  for (const one of shown) assert.doesNotMatch(one, CANARY);
}

test('base addresses', async () => {
  const { Base } = await load('base');
  for (const one of file.bases) {
    const read = () => Base.parse(one.base);
    if (one.href === null) {
      assert.throws(read, (error) => error.name === 'ConfigurationError' && !CANARY.test(inspect(error)), one.base);
      continue;
    }
    assert.equal(read().href, one.href);
    const inRealm = () => read().inRealm('507f1f77bcf86cd799439012').href;
    if (one.realm === null) assert.throws(inRealm, { name: 'ConfigurationError' });
    else assert.equal(inRealm(), one.realm);
  }
});

test('a credential is sent or refused', () => {
  for (const token of file.credentials.refused) {
    const made = () => new HoodyClient({ baseURL: 'http://127.0.0.1:1', token });
    assert.throws(made, (error) => error.name === 'ConfigurationError' && !CANARY.test(inspect(error)), JSON.stringify(token));
  }
});

test('Retry-After', async () => {
  const { retryAfter } = await load('retry');
  for (const one of file.retry_after) {
    const headers = new Headers({ date: 'Sun, 06 Nov 1994 08:49:37 GMT', 'retry-after': one['retry-after'] });
    assert.equal(retryAfter(headers) ?? null, one.seconds, one['retry-after']);
  }
});

test('credentials are masked', async () => {
  const { mask } = await load('secrets');
  for (const [text, masked] of file.masked) assert.equal(mask(text), masked);
});

test('Server-Sent Events', async () => {
  const { SseParser } = await load('sse');
  for (const one of file.sse) {
    const parser = new SseParser(1000);
    const messages = one.chunks.flatMap((chunk) => [...parser.push(chunk)]);
    const found = messages.map(({ event, data, id }) => [event, data, id ?? null]);
    assert.deepEqual([found, parser.id ?? null], [one.messages, one.id], one.name);
  }
  const parser = new SseParser(10);
  assert.throws(() => [...parser.push('data: 0123456789abcdef')], RangeError);
});

test('every case ran', () => assert.ok(file.cases.length >= 50, `${file.cases.length} cases`));
