import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { inspect } from 'node:util';
import { load } from './load.mjs';
import { real } from './real.mjs';

const read = (name) => JSON.parse(readFileSync(new URL(`../../${name}`, import.meta.url), 'utf8'));
const { account, calls } = read('calls.json');
const names = read('names.json');
const { HoodyClient, HoodyError } = await load('index');
const { loopbackFetch } = await load('node');
const saved = {};
let server;

before(async () => {
  server = await real(account);
});
after(() => server.stop());

/** The value with what was saved in the place of each {NAME}. */
const filled = (value) =>
  value === undefined ? undefined : JSON.parse(JSON.stringify(value).replace(/\{([A-Za-z]+)\}/g, (_, name) => saved[name]));
const at = (value, path) => path.split('.').reduce((found, key) => found?.[key], value);

function call(step) {
  const as = step.as ?? 'session';
  const token = as === 'none' ? undefined : saved[as];
  const client = new HoodyClient({ baseURL: server.base, token, realmId: step.realm, fetch: step.realm ? loopbackFetch : undefined });
  const [resource, name] = names.operations[step.call].name.split('.');
  const given = [step.body, step.query].filter((one) => one !== undefined).map(filled);
  const args = [...(filled(step.args) ?? []), ...given];
  return step.all ? client.api[resource][`${name}All`](...args) : client.api[resource][name](...args);
}

async function answered(step) {
  for (let tries = 0; ; tries++) {
    const answer = await call(step);
    const isThere = Object.entries(step.until ?? {}).every(([path, value]) => at(answer, path) === value);
    if (isThere || tries === 100) return answer;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

test(`${calls.length} calls of a real server`, async () => {
  assert.ok(calls.length >= 40);
  for (const step of calls) {
    const here = JSON.stringify(step);
    if (step.code) {
      const error = await call(step).then(() => assert.fail(`not refused: ${here}`), (found) => found);
      assert.ok(error instanceof HoodyError, inspect(error));
      assert.deepEqual([error.code, step.status ?? error.status], [step.code, error.status], here);
      assert.match(error.requestId, /./, here);
      continue;
    }
    const answer = await answered(step);
    if (step.all) assert.equal(answer.length, step.all, here);
    for (const [path, value] of Object.entries({ ...step.gives, ...step.until })) assert.deepEqual(at(answer, path), filled(value), `${path} of ${here}`);
    for (const path of step.has ?? []) assert.ok(at(answer, path), `${path} of ${here}: ${inspect(answer)}`);
    for (const [name, path] of Object.entries(step.save ?? {})) saved[name] = at(answer, path);
  }
});

test('every operation is in the table, or is known not to be', () => {
  const called = new Set(calls.map((step) => step.call));
  // What needs a mail, a second factor, a page or another account.
  const others = ['sign_up', 'verify_email', 'resend_verification', 'forgot_password', 'reset_password', 'authorize', 'exchange', 'cancel_intent',
    'verify_user_code', 'login_for_device', 'deny_device', 'verify_two_factor', 'regenerate_backup_codes', 'update_token_gate',
    'acknowledge_alert', 'dismiss_alert', 'test_webhook', 'replay_webhook_delivery'];
  const missing = Object.keys(names.operations).filter((name) => !called.has(name));
  assert.deepEqual(missing.sort(), others.sort());
});
