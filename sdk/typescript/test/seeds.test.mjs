// The TypeScript blocks of the seeds, run as they stand but for what REPLACED lists. seeds.txt holds them.
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import { pathToFileURL } from 'node:url';
import { real } from './real.mjs';

const PACKAGE = path.resolve(new URL('..', import.meta.url).pathname);
const ACCOUNT = { username: 'your_username', email: 'you@example.com', password: 'your_password' };
const LOST = 'line break: one page was saved without them';

/** Everything that is replaced, with its reason; `since` is the instant from which it must be. */
const REPLACED = [
  { from: 'https://api.hoody.icu', to: () => server.base, why: 'host: the server under test' },
  { from: '203.0.113.10', to: () => '127.0.0.1', why: "address: the caller's" },
  { from: '2027-04-12T00:00:00Z', to: () => '2099-04-12T00:00:00Z', why: 'past instant, once it is', since: '2027-04-12T00:00:00Z' },
  ...[
    ['(not both required)', 'const auth'],
    ['// JWT access token', 'console.log'],
    ['client constructor', 'const client'],
    ['// Refresh the access token', 'const refreshed'],
    ['to get JWT', 'const client'],
    ['using JWT', 'const jwtClient'],
    ['in SDK client', 'const client'],
    ['hdy_abc123XyZ456...', '});'],
    ['are authenticated', 'const projects'],
    ['NEVER do this', 'const response'],
    ['environment variables', 'const response'],
  ].map(([before, behind]) => ({ from: before + behind, to: () => `${before}\n${behind}`, why: LOST })),
];

/** What must come of a block: what it prints, and what its names hold. */
const EXPECTED = {
  'sign in': ({ printed }) => {
    assert.equal(printed.length, 2);
    for (const [token] of printed) assert.match(token, /^eyJ/);
  },
  'use the access token': ({ projects }) => assert.ok(Array.isArray(projects.data.projects)),
  refresh: ({ printed, auth }) => {
    assert.match(printed[0][0], /^eyJ/);
    assert.notEqual(printed[0][0], auth.data.token);
  },
  'create an automation token': ({ printed, token }) => {
    assert.match(printed[0][0], /^hdy_/);
    process.env.HOODY_TOKEN = token.data.token;
    globalThis.tokenId = token.data.id;
  },
  'use the automation token': ({ projects }) => {
    assert.ok(Array.isArray(projects.data.projects));
    // The page manages tokens from here on, and disables this one: that is for who signed in.
    globalThis.client = auth.client;
  },
  'list and audit': ({ printed }) => assert.deepEqual(printed[0].slice(0, 2), ['Production Automation Token', true]),
  disable: async () => assert.equal((await auth.client.api.authTokens.get(tokenId)).data.is_enabled, false),
  delete: async () => {
    await assert.rejects(auth.client.api.authTokens.get(tokenId), { code: 'TOKEN_NOT_FOUND' });
    process.env.HOODY_TOKEN = (await auth.client.api.authTokens.create()).data.token;
  },
  'a token in the code': ({ response }) => assert.equal(response.status, 401),
  'a token in the environment': ({ response }) => assert.equal(response.status, 200),
};

const text = readFileSync(new URL('seeds.txt', import.meta.url), 'utf8');
const blocks = [];
for (const line of text.split('\n')) {
  if (line.startsWith('== ')) blocks.page = line.slice(3);
  else if (line.startsWith('-- ')) blocks.push({ page: blocks.page, part: line.slice(3), lines: [] });
  else if (line.startsWith('| ')) blocks.at(-1).lines.push(line.slice(2));
}
const run = blocks.filter((block) => !block.part.startsWith('later'));
const later = blocks.filter((block) => block.part.startsWith('later'));
const directory = mkdtempSync(path.join(tmpdir(), 'hoody-seeds-'));
const auth = {};
let server;

before(async () => {
  server = await real({ username: 'admin', password: 'correct-horse-battery-staple' });
  await server.admin('users', 'create', ACCOUNT.username, '--email', ACCOUNT.email, '--password', ACCOUNT.password);
  mkdirSync(path.join(directory, 'node_modules/@hoody-ai'), { recursive: true });
  // The package as it was packed and installed, where sdk/test has done so.
  symlinkSync(process.env.HOODY_SDK_INSTALLED ?? PACKAGE, path.join(directory, 'node_modules/@hoody-ai/hoody-sdk'));
  writeFileSync(path.join(directory, 'package.json'), '{"type":"module"}');
  const { HoodyClient } = await import('../dist/esm/index.js');
  // What the pages take for granted: the SDK is imported, and the caller is signed in.
  auth.client = await HoodyClient.authenticate(server.base, { username: ACCOUNT.username, password: ACCOUNT.password });
  Object.assign(globalThis, { HoodyClient, client: auth.client });
});
after(async () => {
  await server.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** The block as it is run. */
function replaced(block) {
  const due = REPLACED.filter((one) => !one.since || Date.now() > Date.parse(one.since));
  return due.reduce((code, one) => code.replaceAll(one.from, one.to()), block.lines.join('\n'));
}

/** The block as a module that hands out its names, so that the next block of the page has them. */
function moduleOf(code) {
  const names = [...code.matchAll(/^(?:.*;)?\s*const (\w+)/gm), ...code.matchAll(/;const (\w+)/g)].map((found) => found[1]);
  return `${code}\nexport { ${[...new Set(names)].join(', ')} };\n`;
}

for (const [number, block] of run.entries()) {
  test(`${block.page}, ${block.part}`, async () => {
    const file = path.join(directory, `${number}.mjs`);
    writeFileSync(file, moduleOf(replaced(block)));
    const printed = [];
    const { log } = console;
    console.log = (...values) => void printed.push(values);
    let names;
    try {
      names = await import(pathToFileURL(file).href);
    } finally {
      console.log = log;
    }
    for (const name of ['auth', 'client']) if (names[name]?.data || names[name]?.api) globalThis[name] = names[name];
    await EXPECTED[block.part]({ printed, auth: globalThis.auth, ...names });
  });
}

test('the blocks are types that fit', () => {
  const types = "import type { HoodyClient as Client } from '@hoody-ai/hoody-sdk';\ndeclare global {\n  const HoodyClient: typeof Client;\n  const client: Client;\n"
    + "  const auth: Awaited<ReturnType<Client['api']['authentication']['login']>>;\n  const tokenId: string;\n  const process: { env: Record<string, string | undefined> };\n}\n";
  writeFileSync(path.join(directory, 'globals.d.ts'), types);
  const sdk = run.filter((block) => block.lines.some((line) => /HoodyClient|client\./.test(line)));
  const files = sdk.map((block, number) => [`${number}.ts`, moduleOf(replaced(block))]);
  for (const [name, code] of files) writeFileSync(path.join(directory, name), code);
  const options = { target: 'es2022', module: 'nodenext', lib: ['es2022', 'dom', 'dom.iterable'], types: [], strict: true, noEmit: true };
  writeFileSync(path.join(directory, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }));
  try {
    execFileSync(path.join(PACKAGE, 'node_modules/.bin/tsc'), ['-p', directory], { encoding: 'utf8' });
  } catch (error) {
    assert.fail(error.stdout);
  }
});

test('what needs containers is whole, and waits for them', () => {
  const dense = (block) => block.lines.join('').replaceAll(/\s/g, '');
  const [short, long] = [later.slice(0, 2), later.slice(2)];
  assert.equal(long.length, 2);
  for (const [at, block] of long.entries()) {
    // One page lost its line breaks; the other has the same block with them.
    assert.equal(dense(short[at]), dense(block), block.part);
    const file = path.join(directory, `later-${at}.mjs`);
    writeFileSync(file, block.lines.join('\n'));
    execFileSync(process.execPath, ['--check', file]);
  }
});

test('every replacement is needed and explained', () => {
  for (const one of REPLACED) {
    assert.ok(run.some((block) => block.lines.join('\n').includes(one.from)), `${one.from}: nothing to replace`);
    assert.ok(one.why);
  }
});
