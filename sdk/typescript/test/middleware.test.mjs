import assert from 'node:assert/strict';
import http from 'node:http';
import { after, before, test } from 'node:test';
import express from 'express';
import { load } from './load.mjs';
import { real } from './real.mjs';
import { scripted } from './scripted.mjs';

const { HoodyClient } = await load('index');
const { loopbackFetch } = await load('node');
const { hoody: forExpress } = await load('express');
const { hoody: forFetch } = await load('fetch');
const account = { username: 'ada', password: 'correct-horse-battery-staple' };
const REALM = '507f1f77bcf86cd799439012';
const tokens = {};
let server;

before(async () => {
  // This program is a proxy that hoody believes.
  server = await real(account, '--trusted-proxies', '127.0.0.1');
  const client = await HoodyClient.authenticate(server.base, account);
  const make = async (alias, more) => (tokens[alias] = (await client.api.authTokens.create({ alias, ...more })).data.token);
  await make('reader', { permissions: { projects: { read: true } } });
  await make('nothing', { permissions: {} });
  await make('elsewhere', { permissions: { projects: { read: true } }, ip_whitelist: ['203.0.113.7'] });
  await make('realm', { permissions: { projects: { read: true } }, realm_ids: [REALM] });
});
after(() => server.stop());

/** Asks `handler` with an Authorization header. */
const ask = (handler, authorization, address) => handler(new Request('http://service.test/', { headers: authorization ? { authorization } : {} }), address);

test('a fetch handler lets in what hoody accepts', async () => {
  let served = 0;
  const made = forFetch({ baseURL: server.base, permission: 'projects.read' }, (_request, name) => new Response(`hello ${name} ${++served}`));
  const good = await ask(made, `Bearer ${tokens.reader}`, 'ada');
  assert.deepEqual([good.status, await good.text()], [200, 'hello ada 1']);
  for (const [authorization, status, code] of [
    [undefined, 401, 'MISSING_TOKEN'],
    ['Bearer hdy_nonsense', 401, 'INVALID_TOKEN'],
    [`Basic ${btoa('ada:x')}`, 401, 'INVALID_TOKEN'],
    [`Bearer ${tokens.reader}, Bearer ${tokens.reader}`, 401, 'INVALID_TOKEN'],
    [`Bearer ${tokens.nothing}`, 403, 'INSUFFICIENT_PERMISSIONS'],
    [`Bearer ${tokens.elsewhere}`, 403, 'IP_NOT_WHITELISTED'],
    [`Bearer ${tokens.realm}`, 403, 'REALM_SCOPE_REQUIRED'],
  ]) {
    const answer = await ask(made, authorization, 'ada');
    const body = await answer.json();
    assert.deepEqual([answer.status, body.statusCode, body.code], [status, status, code], authorization);
    assert.equal(answer.headers.get('www-authenticate'), status === 401 ? 'Bearer' : null);
    assert.equal(answer.headers.get('cache-control'), 'no-store');
  }
  assert.equal(served, 1);
});

test('the address that the platform tells is judged', async () => {
  const made = forFetch({ baseURL: server.base, permission: 'projects.read', address: () => '203.0.113.7' }, () => new Response('hello'));
  assert.equal((await ask(made, `Bearer ${tokens.elsewhere}`)).status, 200);
});

test('a realm is asked on its own host', async () => {
  const options = { baseURL: server.base, permission: 'projects.read', realmId: REALM, fetch: loopbackFetch };
  const made = forFetch(options, () => new Response('hello'));
  assert.equal((await ask(made, `Bearer ${tokens.realm}`)).status, 200);
});

test('nobody is let in when hoody does not say so', async (t) => {
  const answers = [
    { status: 200, body: { statusCode: 200, message: 'ok', data: null } },
    { status: 302, headers: { location: 'http://elsewhere.test/' } },
    { status: 400, body: { code: 'INVALID_PARAMETER_VALUE' } },
    { status: 404, body: {} },
    { status: 429, headers: { 'retry-after': '7' }, body: {} },
    { status: 500, body: {} },
    { status: 503, headers: { 'retry-after': '2' }, body: {} },
    { drop: true },
    { wait: 4000 },
  ];
  const away = await scripted({ answers }, '');
  t.after(() => away.stop());
  const made = forFetch({ baseURL: away.base, timeout: 1500 }, () => assert.fail('let in'));
  const pauses = [];
  for (const answer of answers) {
    const refused = await ask(made, 'Bearer hdy_x');
    assert.deepEqual([refused.status, (await refused.json()).code], [503, 'UNAVAILABLE'], JSON.stringify(answer));
    pauses.push(refused.headers.get('retry-after'));
  }
  assert.deepEqual(pauses, ['1', '1', '1', '1', '7', '1', '2', '1', '1']);
  const nobody = forFetch({ baseURL: 'http://127.0.0.1:9' }, () => assert.fail('let in'));
  assert.equal((await ask(nobody, 'Bearer hdy_x')).status, 503, 'nobody listens');
});

test('Express lets in what hoody accepts', async (t) => {
  const app = express();
  app.use('/orders', forExpress({ baseURL: server.base, permission: 'projects.read' }));
  app.get('/orders', (_request, response) => response.json({ orders: [] }));
  const listening = http.createServer(app);
  await new Promise((resolve) => listening.listen(0, '127.0.0.1', resolve));
  t.after(() => listening.close());
  const get = async (headers) => {
    const answer = await fetch(`http://127.0.0.1:${listening.address().port}/orders`, { headers });
    return [answer.status, await answer.json()];
  };
  assert.deepEqual(await get({ authorization: `Bearer ${tokens.reader}` }), [200, { orders: [] }]);
  assert.equal((await get({}))[1].code, 'MISSING_TOKEN');
  assert.equal((await get({ authorization: `Bearer ${tokens.nothing}` }))[1].code, 'INSUFFICIENT_PERMISSIONS');
  // A caller cannot choose the address that is judged.
  const forged = { authorization: `Bearer ${tokens.elsewhere}`, 'x-forwarded-for': '203.0.113.7' };
  assert.equal((await get(forged))[1].code, 'IP_NOT_WHITELISTED');
});

test('wrong settings are told at once', () => {
  assert.throws(() => forFetch({ baseURL: 'nonsense' }, () => new Response()), { name: 'ConfigurationError' });
  assert.throws(() => forExpress({ baseURL: 'http://127.0.0.1', realmId: 'x' }), { name: 'ConfigurationError' });
});
