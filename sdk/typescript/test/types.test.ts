// What the types accept and refuse: the server refuses the same. Compiled, never run.
import { HoodyClient, type ErrorCode, type Permissions, APIError, isHoodyError } from 'hoody-client';
import { hoody as forExpress } from 'hoody-client/express';
import { hoody as forFetch } from 'hoody-client/fetch';
import { loopbackFetch } from 'hoody-client/node';

declare module 'hoody-client' {
  // Leaves of one's own.
  interface Permissions {
    orders?: { refund?: boolean };
  }
}

const client = new HoodyClient({ baseURL: 'https://api.example.com', token: undefined, fetch: loopbackFetch });
const tree: Permissions = { projects: { read: true, members: { invite: true } }, orders: { refund: true } };

export async function accepted(): Promise<void> {
  await client.api.authTokens.create();
  const made = await client.api.authTokens.create({ alias: 'ci', permissions: tree, expires_at: 1767225599, ip_whitelist: '*' });
  const secret: string = made.data.token;
  await client.api.authTokens.update(made.data.id, { expires_at: null, is_enabled: false });
  await client.api.projects.create({ alias: secret, max_containers: null });
  const answer = await client.api.authentication.login({ username: 'ada', password: '…' });
  if (answer.data.requires_2fa) {
    const challenge: string = answer.data.temp_token;
    await client.api.tfa.verify({ temp_token: challenge, code: '123456' });
  } else if (answer.data.token !== undefined) {
    const both: [string, string] = [answer.data.token, answer.data.refreshToken];
    void both;
  }
  for await (const project of client.api.projects.list({ limit: 5 })) project.alias.toUpperCase();
  for await (const event of client.api.events.stream({ event_type: 'auth.token.*' })) event.payload['alias'];
  const code: ErrorCode = 'A_CODE_OF_TOMORROW';
  try {
    await client.check('projects.read');
  } catch (error) {
    if (isHoodyError(error)) error.isOutcomeUnknown.valueOf();
    if (error instanceof APIError && error.code === 'TOKEN_NOT_FOUND') void code;
  }
  forExpress({ baseURL: 'x', permission: 'projects.read' });
  forFetch({ baseURL: 'x' }, (_request, _context: { waitUntil(): void }) => new Response());
}

export async function refused(): Promise<void> {
  // @ts-expect-error the address is needed
  new HoodyClient({ token: 'x' });
  // @ts-expect-error unknown field
  await client.api.authTokens.create({ name: 'ci' });
  // @ts-expect-error wrong type
  await client.api.authTokens.create({ is_enabled: true, alias: 5 });
  // @ts-expect-error an unknown permission
  await client.api.authTokens.create({ permissions: { projects: { raed: true } } });
  // @ts-expect-error a branch is no leaf
  await client.api.authTokens.create({ permissions: { projects: true } });
  // @ts-expect-error a template is never changed
  await client.api.authTokens.update('x', { permission_template: 'read_only' });
  // @ts-expect-error null is not for an alias
  await client.api.authTokens.update('x', { alias: null });
  // @ts-expect-error the id is needed
  await client.api.authTokens.delete();
  // @ts-expect-error the alias is needed
  await client.api.projects.create({});
  // @ts-expect-error a level that does not exist
  await client.api.projects.addPermission('x', { user_id: 'y', permission_level: 'admin' });
  // @ts-expect-error a password is needed
  await client.api.authentication.login({ username: 'ada' });
  // @ts-expect-error an unknown parameter
  await client.api.projects.list({ per_page: 5 });
  // @ts-expect-error the secret is shown at creation alone
  const token: string = (await client.api.authTokens.get('x')).data.token;
  // @ts-expect-error what deletes everything is said in full
  await client.api.events.bulkDelete();
  // @ts-expect-error a name and an address
  new HoodyClient({ baseURL: 'x', credentials: { username: 'a', email: 'b', password: 'c' } });
  void token;
}
