// A hoody server of the test's own: the binary that HOODY_BIN names.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';

const root = new URL('../../../', import.meta.url).pathname;
const binary = process.env.HOODY_BIN ?? path.join(root, 'target/debug/hoody');

/** Starts one with an account `username`; more flags after that. */
export async function real({ username, password }, ...flags) {
  const directory = mkdtempSync(path.join(tmpdir(), 'hoody-sdk-'));
  const env = { PATH: process.env.PATH, HOME: directory, HOODY_ADMIN_USERNAME: username, HOODY_ADMIN_PASSWORD: password };
  const child = spawn(binary, ['serve', '--data-dir', path.join(directory, 'data'), '--listen', '127.0.0.1:0', ...flags], {
    env,
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  const ended = new Promise((resolve) => child.once('exit', resolve));
  const said = [];
  const base = await new Promise((resolve, reject) => {
    const lines = createInterface({ input: child.stderr });
    lines.on('line', (line) => {
      said.push(line);
      const found = /^hoody listens on (\S+) /.exec(line);
      if (found) resolve(found[1]);
    });
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`the server did not start:\n${said.join('\n')}`)));
  });
  return {
    base,
    port: new URL(base).port,
    /** Runs the binary beside the server: `hoody admin …`. */
    async admin(...args) {
      const ran = spawn(binary, ['admin', ...args, '--data-dir', path.join(directory, 'data')], { env, stdio: 'ignore' });
      const code = await new Promise((resolve) => ran.once('exit', resolve));
      if (code !== 0) throw new Error(`hoody admin ${args[0]} ${args[1]} failed: ${code}`);
    },
    async stop() {
      child.kill('SIGTERM');
      await ended;
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
