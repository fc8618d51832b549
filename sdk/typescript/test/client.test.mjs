// What conformance.json does not ask of all languages alike.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { inspect } from 'node:util';
import { load } from './load.mjs';
import { real } from './real.mjs';
import { scripted } from './scripted.mjs';

const { HoodyClient, VERSION } = await load('index');
const { loopbackFetch } = await load('node');
const account = { username: 'ada', password: 'correct-horse-battery-staple' };
const CANARY = 'hdy_canaryCANARYcanaryCANARYcanaryCANARY0123456789';
const ok = { status: 200, body: { statusCode: 200, message: 'ok', data: { realm_ids: [], total: 0 } } };

test('nothing that a program prints shows a secret', async () => {
  const fetch = () => Promise.reject(Object.assign(new TypeError(`fetch failed ${CANARY}`), { cause: { code: CANARY, request: CANARY } }));
  const client = new HoodyClient({
    baseURL: 'http://127.0.0.1:9', token: CANARY, refreshToken: 'canary', credentials: { username: 'ada', password: 'canary' },
    headers: { 'x-secret': 'canary' }, maxRetries: 0, fetch,
  });
  const failed = [];
  for (const call of [client.api.vault.get('canary'), client.api.vault.set('canary', { value: 'canary' }), client.api.projects.list(), client.api.authTokens.create({ otp_code: 'canary' })]) {
    failed.push(await Promise.resolve(call).catch((error) => error));
  }
  const things = [client, client.api, client.withRealm('507f1f77bcf86cd799439012'), client.api.projects.list(), client.api.events.stream(), ...failed];
  for (const thing of things) {
    for (const shown of [inspect(thing, { depth: 99, showHidden: true, getters: true }), JSON.stringify(thing), String(thing), thing.stack ?? '']) {
      assert.doesNotMatch(shown, /canary/i);
    }
  }
  assert.equal(failed.length, 4);
});

test('what is sent', async (t) => {
  const server = await scripted({ answers: [ok] }, CANARY);
  t.after(() => server.stop());
  const told = [];
  const client = new HoodyClient({
    baseURL: `${server.base}/api/v1/`, token: CANARY, headers: { 'x-team': 'shop' },
    onRequest: (one) => told.push(one), onResponse: ({ ms, ...one }) => told.push(one),
  });
  assert.equal(client.baseURL, server.base);
  await client.api.realms.list({ include_usage: false });
  const [{ headers, line, body }] = server.requests;
  assert.equal(line, 'GET /api/v1/realms?include_usage=false token');
  assert.deepEqual([headers['user-agent'], headers['x-team'], body, headers['content-type']], [`hoody-ts/${VERSION} (node ${process.versions.node})`, 'shop', '', undefined]);
  const route = { method: 'GET', path: '/api/v1/realms', attempt: 1 };
  assert.deepEqual(told, [route, { ...route, status: 200, requestId: undefined }]);
  for (const headers of [{ Authorization: 'x' }, { host: 'x' }, { Cookie: 'x' }]) {
    assert.throws(() => new HoodyClient({ baseURL: server.base, headers }), { name: 'ConfigurationError' });
  }
});

test('a call is aborted, also while it waits', async (t) => {
  const busy = { status: 503, headers: { 'retry-after': '20' }, body: { code: 'UNAVAILABLE', message: 'x' } };
  const server = await scripted({ answers: [busy, { wait: 5000 }] }, CANARY);
  t.after(() => server.stop());
  const client = new HoodyClient({ baseURL: server.base });
  for (const _ of [1, 2]) {
    const began = performance.now();
    const signal = AbortSignal.timeout(150);
    await assert.rejects(client.api.realms.list({}, { signal }), (error) => error === signal.reason);
    assert.ok(performance.now() - began < 2000);
  }
  await assert.rejects(client.api.realms.list({}, { signal: AbortSignal.abort('why') }), (error) => error === 'why');
});

test('a stream is aborted', async (t) => {
  const server = await scripted({ answers: [{ chunks: ['id: c1\n\n'], open: true }] }, CANARY);
  t.after(() => server.stop());
  const client = new HoodyClient({ baseURL: server.base, token: CANARY });
  const stop = new AbortController();
  const stream = client.api.events.stream({}, { signal: stop.signal });
  const watch = setInterval(() => stream.lastEventId && stop.abort('enough'), 10);
  await assert.rejects(async () => {
    for await (const event of stream) assert.fail(inspect(event));
  }, (error) => error === 'enough');
  clearInterval(watch);
  assert.equal(stream.lastEventId, 'c1');
});

test('an answer that is too large is given up', async () => {
  let cancelled = false;
  const body = () => new ReadableStream({ pull: (controller) => controller.enqueue(new Uint8Array(2 ** 20)), cancel: () => { cancelled = true; } });
  const client = new HoodyClient({ baseURL: 'http://127.0.0.1:9', fetch: async () => new Response(body()) });
  await assert.rejects(client.api.realms.list(), { name: 'UnreadableAnswerError', message: 'the answer to GET /api/v1/realms is too large' });
  assert.ok(cancelled);
});

test('an id that would be another route is refused', async () => {
  const client = new HoodyClient({ baseURL: 'http://127.0.0.1:9', fetch: () => assert.fail('sent') });
  for (const id of ['', '.', '..']) await assert.rejects(client.api.authTokens.get(id), { name: 'ConfigurationError' });
});

test('a second factor is no session', async (t) => {
  const challenge = { status: 200, body: { statusCode: 200, message: 'x', data: { requires_2fa: true, temp_token: 'eyJx', method: 'totp' } } };
  const server = await scripted({ answers: [challenge] }, CANARY);
  t.after(() => server.stop());
  await assert.rejects(HoodyClient.authenticate(server.base, account), /second factor/);
});

test('with a real server', async () => {
  const server = await real(account);
  try {
    const pairs = [];
    const client = await HoodyClient.authenticate(server.base, account, { onTokens: (pair) => pairs.push(pair) });
    assert.equal(pairs.length, 1);
    const { data } = await client.api.authTokens.create({ permissions: { projects: { read: true } } });
    const token = client.withToken(data.token);
    await token.check('projects.read');
    await assert.rejects(token.check('projects.create'), { code: 'INSUFFICIENT_PERMISSIONS', name: 'PermissionDeniedError' });

    // Pages of three, one by one.
    const begin = (await client.api.events.list({ bootstrap: true })).data.pagination.latest_cursor;
    for (const alias of 'abcdefgh') await client.api.projects.create({ alias });
    const seen = [];
    for await (const project of client.api.projects.list({ limit: 3, sort_by: 'alias', sort_order: 'asc' })) seen.push(project.alias);
    assert.equal(seen.join(''), 'abcdefgh');
    assert.equal((await client.api.projects.list({ limit: 3 }).toArray({ limit: 4 })).length, 4);

    // A stream that begins in the past and goes on with what happens.
    const stream = client.api.events.stream({ after: begin, event_type: 'project.*' }, { signal: AbortSignal.timeout(20_000) });
    const told = [];
    for await (const event of stream) {
      if (told.push(event.payload.alias) === 8) await client.api.projects.create({ alias: 'live' });
      if (told.length === 9) break;
    }
    assert.deepEqual(told, [...'abcdefgh', 'live']);
    assert.match(stream.lastEventId, /^[\w-]{46}$/);

    // A session that was ended elsewhere signs in again, once for all.
    await client.withToken(pairs[0].token).api.authentication.logout();
    await Promise.all([1, 2, 3].map(() => client.api.authentication.getCurrentUser()));
    assert.equal(pairs.length, 2);

    const realm = '507f1f77bcf86cd799439012';
    const there = new HoodyClient({ baseURL: server.base, token: pairs[1].token, realmId: realm, fetch: loopbackFetch });
    assert.equal(there.baseURL, `http://${realm}.api.localhost:${server.port}`);
    assert.deepEqual((await there.api.projects.create({ alias: 'there' })).data.realm_ids, [realm]);
    assert.equal((await there.api.projects.listAll()).length, 1);
  } finally {
    await server.stop();
  }
});
