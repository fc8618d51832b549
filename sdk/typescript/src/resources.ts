// Written by sdk/emit from openapi.json and sdk/names.json. Do not edit.

import type { CallOptions, Core, Envelope } from './core.js';
import { EventsBase, Resource } from './resource.js';
import type { ListPromise, Paged } from './list.js';
import type * as t from './types.js';

/** `client.api.authTokens` */
export class AuthTokens extends Resource {
  /** The account's tokens that the caller may see; a long list is sent as it is read. `GET /api/v1/auth/tokens` */
  list(query?: t.AuthTokensListQuery, options?: CallOptions): ListPromise<t.TokenListEnvelope, t.AuthToken> {
    return this.core.list('GET /api/v1/auth/tokens', { query }, { style: 'whole', items: 'data' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.AuthTokensListQuery, options?: CallOptions): Promise<t.AuthToken[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.AuthTokensListQuery, options?: CallOptions): AsyncIterable<t.AuthToken> {
    return this.list(query, options);
  }

  /** Makes a token; its secret is in this answer and nowhere else. `POST /api/v1/auth/tokens` */
  create(data: t.CreateToken = {}, options?: CallOptions): Promise<Envelope<t.CreatedToken>> {
    return this.core.call('POST /api/v1/auth/tokens', { body: data }, options);
  }

  /** Makes a token like another, with a secret of its own. `POST /api/v1/auth/tokens/{id}/copy` */
  copy(id: string, data: t.CopyToken = {}, options?: CallOptions): Promise<Envelope<t.CreatedToken>> {
    return this.core.call('POST /api/v1/auth/tokens/{id}/copy', { args: [id], body: data }, options);
  }

  /** One token. `GET /api/v1/auth/tokens/{id}` */
  get(id: string, options?: CallOptions): Promise<Envelope<t.AuthToken>> {
    return this.core.call('GET /api/v1/auth/tokens/{id}', { args: [id] }, options);
  }

  /** The calling token itself: how it learns its realms and limits. `GET /api/v1/auth/tokens/me` */
  getCurrent(options?: CallOptions): Promise<Envelope<t.CurrentToken>> {
    return this.core.call('GET /api/v1/auth/tokens/me', {}, options);
  }

  /** Changes a token; what is left out stays as it is. `PUT /api/v1/auth/tokens/{id}` */
  update(id: string, data: t.UpdateToken, options?: CallOptions): Promise<Envelope<t.AuthToken>> {
    return this.core.call('PUT /api/v1/auth/tokens/{id}', { args: [id], body: data, once: data.otp_code != null }, options);
  }

  /** Deletes a token for good, and every token that descends from it. `DELETE /api/v1/auth/tokens/{id}` */
  delete(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/auth/tokens/{id}', { args: [id] }, options);
  }

  /** Adds a realm to a token's list. `POST /api/v1/auth/tokens/{id}/add-realm` */
  addRealm(id: string, data: t.RealmChange, options?: CallOptions): Promise<Envelope<t.AuthToken>> {
    return this.core.call('POST /api/v1/auth/tokens/{id}/add-realm', { args: [id], body: data }, options);
  }

  /** Takes a realm out of a token's list; the last one leaves the flags as they are. `POST /api/v1/auth/tokens/{id}/remove-realm` */
  removeRealm(id: string, data: t.RealmChange, options?: CallOptions): Promise<Envelope<t.AuthToken>> {
    return this.core.call('POST /api/v1/auth/tokens/{id}/remove-realm', { args: [id], body: data }, options);
  }

  /** What a token did: by hour and day, status, permission and address. `GET /api/v1/auth/tokens/{id}/usage` */
  usage(id: string, query?: t.AuthTokensUsageQuery, options?: CallOptions): Promise<Envelope<t.TokenUsage>> {
    return this.core.call('GET /api/v1/auth/tokens/{id}/usage', { args: [id], query }, options);
  }

  /** Changes the calling token's own public profile. `PUT /api/v1/auth/tokens/me/public-profile` */
  updatePublicProfile(data: t.UpdateProfile, options?: CallOptions): Promise<Envelope<t.AuthToken>> {
    return this.core.call('PUT /api/v1/auth/tokens/me/public-profile', { body: data }, options);
  }

  /** The public profile behind a key. `GET /api/v1/auth/tokens/public-profiles/{public_key}` */
  getPublicProfile(public_key: string, options?: CallOptions): Promise<Envelope<t.PublicProfile>> {
    return this.core.call('GET /api/v1/auth/tokens/public-profiles/{public_key}', { args: [public_key] }, options);
  }

  /** The permission templates, resolved. `GET /api/v1/auth/tokens/templates` */
  listAuthTokenPermissionTemplates(options?: CallOptions): Promise<Envelope<t.PermissionTemplate[]>> {
    return this.core.call('GET /api/v1/auth/tokens/templates', {}, options);
  }
}

/** `client.api.permissions` */
export class Permissions extends Resource {
  /** Which permissions there are: all to a session and to a token with `resources.read_account`, to other tokens those that they hold. `GET /api/v1/permissions` */
  list(query?: t.PermissionsListQuery, options?: CallOptions): Promise<Envelope<t.PermissionCatalogue>> {
    return this.core.call('GET /api/v1/permissions', { query }, options);
  }

  /** Would this be allowed, which rule decides, and what would have to change. `POST /api/v1/auth/explain` */
  explain(data: t.Explain = {}, options?: CallOptions): Promise<Envelope<t.Explanation>> {
    return this.core.call('POST /api/v1/auth/explain', { body: data }, options);
  }
}

/** `client.api.authentication` */
export class Authentication extends Resource {
  /** Signs in with a name or an e-mail address and a password. `POST /api/v1/users/auth/login` */
  login(data: t.Login, options?: CallOptions): Promise<Envelope<t.LoginAnswer>> {
    return this.core.call('POST /api/v1/users/auth/login', { body: data, anonymous: true }, options);
  }

  /** Gets the next pair of tokens for a refresh token. `POST /api/v1/users/auth/refresh` */
  refreshToken(data: t.Refresh, options?: CallOptions): Promise<Envelope<t.RefreshData>> {
    return this.core.call('POST /api/v1/users/auth/refresh', { body: data, anonymous: true }, options);
  }

  /** Ends every session of the account; called with a token, it ends nothing. `POST /api/v1/users/auth/logout` */
  logout(options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/users/auth/logout', {}, options);
  }

  /** The caller's account. `GET /api/v1/users/auth/me` */
  getCurrentUser(options?: CallOptions): Promise<Envelope<t.Profile>> {
    return this.core.call('GET /api/v1/users/auth/me', {}, options);
  }

  /** The caller's account, under its other name. `GET /api/v1/users/me` */
  getCurrentUserAlias(options?: CallOptions): Promise<Envelope<t.Profile>> {
    return this.core.call('GET /api/v1/users/me', {}, options);
  }

  /** Makes an account; nobody learns whether the address has one already. `POST /api/v1/auth/signup` */
  signup(data: t.SignUp, options?: CallOptions): Promise<Envelope<t.SignedUp>> {
    return this.core.call('POST /api/v1/auth/signup', { body: data, anonymous: true }, options);
  }

  /** Proves an address with the token of a mail, and signs in with the password of that sign-up. `POST /api/v1/auth/verify-email` */
  verifyEmail(data: t.VerifyEmail, options?: CallOptions): Promise<Envelope<t.LoginAnswer>> {
    return this.core.call('POST /api/v1/auth/verify-email', { body: data, anonymous: true }, options);
  }

  /** Asks for another verification mail. `POST /api/v1/auth/resend-verification` */
  resendVerification(data: t.MailRequest, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/auth/resend-verification', { body: data, anonymous: true }, options);
  }

  /** Asks for a mail to set a new password. `POST /api/v1/auth/forgot-password` */
  forgotPassword(data: t.MailRequest, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/auth/forgot-password', { body: data, anonymous: true }, options);
  }

  /** Sets a new password with the token of a mail; every session of the account ends, and its tokens if asked. `POST /api/v1/auth/reset-password` */
  resetPassword(data: t.ResetPassword, options?: CallOptions): Promise<Envelope<t.PasswordReset>> {
    return this.core.call('POST /api/v1/auth/reset-password', { body: data, anonymous: true }, options);
  }

  /** Where accounts can be: a self-hosted server has no regions. `GET /api/v1/auth/available-regions` */
  getAvailableRegions(options?: CallOptions): Promise<Envelope<t.Regions>> {
    return this.core.call('GET /api/v1/auth/available-regions', { anonymous: true }, options);
  }

  /** What a sign-in page needs to know. `GET /api/v1/auth/config` */
  getOAuthConfig(options?: CallOptions): Promise<Envelope<t.AuthConfig>> {
    return this.core.call('GET /api/v1/auth/config', { anonymous: true }, options);
  }

  /** Turns an intent into a code for a page that the server knows; once. `POST /api/v1/auth/authorize` */
  oauthAuthorize(authIntentToken: string, data: t.Authorize, options?: CallOptions): Promise<Envelope<t.AuthorizationCode>> {
    return this.core.call('POST /api/v1/auth/authorize', { token: authIntentToken, body: data }, options);
  }

  /** Gets the session that a code is for; once, and only with the verifier. `POST /api/v1/auth/exchange` */
  oauthExchange(data: t.Exchange, options?: CallOptions): Promise<Envelope<t.LoginData>> {
    return this.core.call('POST /api/v1/auth/exchange', { body: data, anonymous: true }, options);
  }

  /** Gives an intent up, or the temporary token of a login; that it is gone already makes no difference. `POST /api/v1/auth/intent/cancel` */
  oauthCancelIntent(intentOrTempToken: string, options?: CallOptions): Promise<void> {
    return this.core.call('POST /api/v1/auth/intent/cancel', { token: intentOrTempToken }, options);
  }

  /** The same as `devices.start`. `POST /api/v1/auth/device/code` */
  oauthDeviceCode(data: t.StartDevice, options?: CallOptions): Promise<Envelope<t.DeviceCode>> {
    return this.core.call('POST /api/v1/auth/device/code', { body: data, anonymous: true }, options);
  }

  /** The same as `devices.poll`. `POST /api/v1/auth/device/token` */
  oauthDeviceToken(data: t.PollDevice, options?: CallOptions): Promise<Envelope<t.LoginData>> {
    return this.core.call('POST /api/v1/auth/device/token', { body: data, anonymous: true }, options);
  }

  /** The same as `devices.verifyCode`. `POST /api/v1/auth/device/verify_code` */
  oauthDeviceVerifyCode(data: t.VerifyUserCode, options?: CallOptions): Promise<Envelope<t.UserCodeAnswer>> {
    return this.core.call('POST /api/v1/auth/device/verify_code', { body: data, anonymous: true }, options);
  }

  /** The same as `devices.login`. `POST /api/v1/auth/device/login` */
  oauthDeviceLogin(data: t.DeviceLogin, options?: CallOptions): Promise<Envelope<t.DeviceLoginAnswer>> {
    return this.core.call('POST /api/v1/auth/device/login', { body: data, anonymous: true }, options);
  }

  /** The same as `devices.deny`. `POST /api/v1/auth/device/deny` */
  oauthDeviceDeny(data: t.DenyDevice, options?: CallOptions): Promise<Envelope<t.DeviceStatus>> {
    return this.core.call('POST /api/v1/auth/device/deny', { body: data, anonymous: true }, options);
  }
}

/** `client.api.devices` */
export class Devices extends Resource {
  /** Asks for a code that somebody can approve on another device. `POST /api/v1/auth/device/code` */
  start(data: t.StartDevice = {}, options?: CallOptions): Promise<Envelope<t.DeviceCode>> {
    return this.core.call('POST /api/v1/auth/device/code', { body: data, anonymous: true }, options);
  }

  /** Asks whether somebody has signed in; the session, once, when somebody has. `POST /api/v1/auth/device/token` */
  poll(data: t.PollDevice, options?: CallOptions): Promise<Envelope<t.LoginData>> {
    return this.core.call('POST /api/v1/auth/device/token', { body: data, anonymous: true }, options);
  }

  /** Says what a user code is for; while it waits, with a ticket and a cookie for signing in. `POST /api/v1/auth/device/verify_code` */
  verifyCode(data: t.VerifyUserCode, options?: CallOptions): Promise<Envelope<t.UserCodeAnswer>> {
    return this.core.call('POST /api/v1/auth/device/verify_code', { body: data, anonymous: true }, options);
  }

  /** Approves the request of a device by signing in; the session goes to the device alone. `POST /api/v1/auth/device/login` */
  login(data: t.DeviceLogin, options?: CallOptions): Promise<Envelope<t.DeviceLoginAnswer>> {
    return this.core.call('POST /api/v1/auth/device/login', { body: data, anonymous: true }, options);
  }

  /** Refuses the request of a device. `POST /api/v1/auth/device/deny` */
  deny(data: t.DenyDevice, options?: CallOptions): Promise<Envelope<t.DeviceStatus>> {
    return this.core.call('POST /api/v1/auth/device/deny', { body: data, anonymous: true }, options);
  }
}

/** `client.api.tfa` */
export class Tfa extends Resource {
  /** The second half of signing in: a code, and the token that the login gave. `POST /api/v1/users/auth/2fa/verify` */
  verify(data: t.VerifyTwoFactor, options?: CallOptions): Promise<Envelope<t.VerifyAnswer>> {
    return this.core.call('POST /api/v1/users/auth/2fa/verify', { body: data, anonymous: true }, options);
  }

  /** Shows a new secret and backup codes; nothing is in force until a code is shown to `verify-setup`. `POST /api/v1/users/auth/2fa/setup` */
  setup(data: t.SetUpTwoFactor, options?: CallOptions): Promise<Envelope<t.TwoFactorSetup>> {
    return this.core.call('POST /api/v1/users/auth/2fa/setup', { body: data }, options);
  }

  /** Turns the second factor on by the first code; every session ends, and the answer has a new one. `POST /api/v1/users/auth/2fa/verify-setup` */
  verifySetup(data: t.ConfirmTwoFactor, options?: CallOptions): Promise<Envelope<t.EnabledTwoFactor>> {
    return this.core.call('POST /api/v1/users/auth/2fa/verify-setup', { body: data }, options);
  }

  /** How the second factor stands. `GET /api/v1/users/auth/2fa/status` */
  getStatus(options?: CallOptions): Promise<Envelope<t.TwoFactorStatus>> {
    return this.core.call('GET /api/v1/users/auth/2fa/status', {}, options);
  }

  /** Turns the second factor off; every session ends, and the answer has a new one. `DELETE /api/v1/users/auth/2fa` */
  disable(data: t.DisableTwoFactor, options?: CallOptions): Promise<Envelope<t.EndedSessions>> {
    return this.core.call('DELETE /api/v1/users/auth/2fa', { body: data, once: true }, options);
  }

  /** Replaces the backup codes. `POST /api/v1/users/auth/2fa/backup-codes/regenerate` */
  regenerateBackupCodes(data: t.RegenerateBackupCodes, options?: CallOptions): Promise<Envelope<t.BackupCodes>> {
    return this.core.call('POST /api/v1/users/auth/2fa/backup-codes/regenerate', { body: data }, options);
  }

  /** Says whether sessions need a code to make and change tokens; turning that off takes password and code. `PUT /api/v1/users/auth/2fa/token-gate` */
  setTokenGate(data: t.TokenGate, options?: CallOptions): Promise<Envelope<t.TokenGateState>> {
    return this.core.call('PUT /api/v1/users/auth/2fa/token-gate', { body: data, once: true }, options);
  }
}

/** `client.api.realms` */
export class Realms extends Resource {
  /** The realms that the account's projects and tokens carry; on a realm's host, that one. `GET /api/v1/realms` */
  list(query?: t.RealmsListQuery, options?: CallOptions): ListPromise<Envelope<t.RealmList>, t.Id> {
    return this.core.list('GET /api/v1/realms', { query }, { style: 'whole', items: 'data.realm_ids' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.RealmsListQuery, options?: CallOptions): Promise<t.Id[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.RealmsListQuery, options?: CallOptions): AsyncIterable<t.Id> {
    return this.list(query, options);
  }
}

/** `client.api.projects` */
export class Projects extends Resource {
  /** One's own projects and those shared with one, a page at a time. `GET /api/v1/projects` */
  list(query?: t.ProjectsListQuery, options?: CallOptions): ListPromise<Envelope<t.ProjectList>, t.Project> {
    return this.core.list('GET /api/v1/projects', { query }, { style: 'page', items: 'data.projects', pages: 'data.pagination.totalPages' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.ProjectsListQuery, options?: CallOptions): Promise<t.Project[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.ProjectsListQuery, options?: CallOptions): AsyncIterable<t.Project> {
    return this.list(query, options);
  }

  /** Makes a project; on a realm's host it belongs to that realm. `POST /api/v1/projects` */
  create(data: t.CreateProject, options?: CallOptions): Promise<Envelope<t.Project>> {
    return this.core.call('POST /api/v1/projects', { body: data }, options);
  }

  /** One project. `GET /api/v1/projects/{id}` */
  get(id: string, query?: t.ProjectsGetQuery, options?: CallOptions): Promise<Envelope<t.Project>> {
    return this.core.call('GET /api/v1/projects/{id}', { args: [id], query }, options);
  }

  /** Changes a project; what is left out stays as it is. `PUT /api/v1/projects/{id}` */
  update(id: string, data: t.UpdateProject, options?: CallOptions): Promise<Envelope<t.Project>> {
    return this.core.call('PUT /api/v1/projects/{id}', { args: [id], body: data }, options);
  }

  /** Deletes a project with everything in it. `DELETE /api/v1/projects/{id}` */
  delete(id: string, query?: t.ProjectsDeleteQuery, options?: CallOptions): Promise<Envelope<t.DeletedProject>> {
    return this.core.call('DELETE /api/v1/projects/{id}', { args: [id], query }, options);
  }

  /** How many containers a project has. `GET /api/v1/projects/{id}/stats` */
  getStats(id: string, options?: CallOptions): Promise<Envelope<t.ProjectStats>> {
    return this.core.call('GET /api/v1/projects/{id}/stats', { args: [id] }, options);
  }

  /** Who else may reach a project, a page at a time. `GET /api/v1/projects/{id}/permissions` */
  listPermissions(id: string, query?: t.ProjectsListPermissionsQuery, options?: CallOptions): ListPromise<Envelope<t.PermissionList>, t.ProjectMember> {
    return this.core.list('GET /api/v1/projects/{id}/permissions', { args: [id], query }, { style: 'page', items: 'data.permissions', pages: 'data.pagination.totalPages' } satisfies Paged, options);
  }

  /** All of `listPermissions`, page after page. */
  listPermissionsAll(id: string, query?: t.ProjectsListPermissionsQuery, options?: CallOptions): Promise<t.ProjectMember[]> {
    return this.listPermissions(id, query, options).toArray();
  }

  /** Each of `listPermissions`, page after page. */
  listPermissionsIterator(id: string, query?: t.ProjectsListPermissionsQuery, options?: CallOptions): AsyncIterable<t.ProjectMember> {
    return this.listPermissions(id, query, options);
  }

  /** Shares a project with another account. `POST /api/v1/projects/{id}/permissions` */
  addPermission(id: string, data: t.CreateMember, options?: CallOptions): Promise<Envelope<t.ProjectMember>> {
    return this.core.call('POST /api/v1/projects/{id}/permissions', { args: [id], body: data }, options);
  }

  /** Changes what another account may do with a project. `PUT /api/v1/projects/{id}/permissions/{permission_id}` */
  updatePermission(id: string, permission_id: string, data: t.UpdateMember, options?: CallOptions): Promise<Envelope<t.ProjectMember>> {
    return this.core.call('PUT /api/v1/projects/{id}/permissions/{permission_id}', { args: [id, permission_id], body: data }, options);
  }

  /** Ends the sharing of a project with another account. `DELETE /api/v1/projects/{id}/permissions/{permission_id}` */
  removePermission(id: string, permission_id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/projects/{id}/permissions/{permission_id}', { args: [id, permission_id] }, options);
  }
}

/** `client.api.containers` */
export class Containers extends Resource {
  /** Containers of one's own projects and of those shared with one, a page at a time. `GET /api/v1/containers` */
  list(query?: t.ContainersListQuery, options?: CallOptions): ListPromise<Envelope<t.ContainerList>, t.Container> {
    return this.core.list('GET /api/v1/containers', { query }, { style: 'page', items: 'data.containers', pages: 'data.pagination.totalPages' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.ContainersListQuery, options?: CallOptions): Promise<t.Container[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.ContainersListQuery, options?: CallOptions): AsyncIterable<t.Container> {
    return this.list(query, options);
  }

  /** Containers of a project, a page at a time. `GET /api/v1/projects/{id}/containers` */
  listByProject(id: string, query?: t.ContainersListByProjectQuery, options?: CallOptions): ListPromise<Envelope<t.ContainerList>, t.Container> {
    return this.core.list('GET /api/v1/projects/{id}/containers', { args: [id], query }, { style: 'page', items: 'data.containers', pages: 'data.pagination.totalPages' } satisfies Paged, options);
  }

  /** All of `listByProject`, page after page. */
  listByProjectAll(id: string, query?: t.ContainersListByProjectQuery, options?: CallOptions): Promise<t.Container[]> {
    return this.listByProject(id, query, options).toArray();
  }

  /** Each of `listByProject`, page after page. */
  listByProjectIterator(id: string, query?: t.ContainersListByProjectQuery, options?: CallOptions): AsyncIterable<t.Container> {
    return this.listByProject(id, query, options);
  }

  /** Makes a container in a project; it is `creating` until the engine runs it. `POST /api/v1/projects/{id}/containers` */
  create(id: string, data: t.CreateContainer, options?: CallOptions): Promise<Envelope<t.Container>> {
    return this.core.call('POST /api/v1/projects/{id}/containers', { args: [id], body: data }, options);
  }

  /** One container. `GET /api/v1/containers/{id}` */
  get(id: string, query?: t.ContainersGetQuery, options?: CallOptions): Promise<Envelope<t.Container>> {
    return this.core.call('GET /api/v1/containers/{id}', { args: [id], query }, options);
  }

  /** Changes a container; fields that are left out keep their values. `PUT /api/v1/containers/{id}` */
  update(id: string, data: t.UpdateContainer, options?: CallOptions): Promise<Envelope<t.Container>> {
    return this.core.call('PUT /api/v1/containers/{id}', { args: [id], body: data }, options);
  }

  /** Deletes a container with its snapshots. `DELETE /api/v1/containers/{id}` */
  delete(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/containers/{id}', { args: [id] }, options);
  }

  /** Starts a container. `POST /api/v1/containers/{id}/start` */
  start(id: string, options?: CallOptions): Promise<Envelope<t.ContainerOperation>> {
    return this.core.call('POST /api/v1/containers/{id}/start', { args: [id] }, options);
  }

  /** Stops a container; its processes have ten seconds to end. `POST /api/v1/containers/{id}/stop` */
  stop(id: string, options?: CallOptions): Promise<Envelope<t.ContainerOperation>> {
    return this.core.call('POST /api/v1/containers/{id}/stop', { args: [id] }, options);
  }

  /** Kills a container's processes. `POST /api/v1/containers/{id}/force-stop` */
  forceStop(id: string, options?: CallOptions): Promise<Envelope<t.ContainerOperation>> {
    return this.core.call('POST /api/v1/containers/{id}/force-stop', { args: [id] }, options);
  }

  /** Stops and starts a container. `POST /api/v1/containers/{id}/restart` */
  restart(id: string, options?: CallOptions): Promise<Envelope<t.ContainerOperation>> {
    return this.core.call('POST /api/v1/containers/{id}/restart', { args: [id] }, options);
  }

  /** A container's use of its server. `GET /api/v1/containers/{id}/stats` */
  getStats(id: string, options?: CallOptions): Promise<Envelope<t.ContainerStats>> {
    return this.core.call('GET /api/v1/containers/{id}/stats', { args: [id] }, options);
  }

  /** A container's environment. `GET /api/v1/containers/{id}/env` */
  getEnv(id: string, options?: CallOptions): Promise<Envelope<t.ContainerEnvironment>> {
    return this.core.call('GET /api/v1/containers/{id}/env', { args: [id] }, options);
  }

  /** Sets one variable. `PUT /api/v1/containers/{id}/env/{key}` */
  setEnvVariable(id: string, key: string, data: t.SetVariable, options?: CallOptions): Promise<Envelope<t.ContainerEnvironment>> {
    return this.core.call('PUT /api/v1/containers/{id}/env/{key}', { args: [id, key], body: data }, options);
  }

  /** Removes one variable; one that is not set counts as removed. `DELETE /api/v1/containers/{id}/env/{key}` */
  deleteEnvVariable(id: string, key: string, options?: CallOptions): Promise<Envelope<t.ContainerEnvironment>> {
    return this.core.call('DELETE /api/v1/containers/{id}/env/{key}', { args: [id, key] }, options);
  }

  /** The snapshots of a container, the newest first. `GET /api/v1/containers/{id}/snapshots` */
  listSnapshots(id: string, options?: CallOptions): ListPromise<Envelope<t.SnapshotList>, t.Snapshot> {
    return this.core.list('GET /api/v1/containers/{id}/snapshots', { args: [id] }, { style: 'whole', items: 'data.snapshots' } satisfies Paged, options);
  }

  /** All of `listSnapshots`, page after page. */
  listSnapshotsAll(id: string, options?: CallOptions): Promise<t.Snapshot[]> {
    return this.listSnapshots(id, options).toArray();
  }

  /** Each of `listSnapshots`, page after page. */
  listSnapshotsIterator(id: string, options?: CallOptions): AsyncIterable<t.Snapshot> {
    return this.listSnapshots(id, options);
  }

  /** Makes a snapshot. `POST /api/v1/containers/{id}/snapshots` */
  createSnapshot(id: string, data: t.CreateSnapshot = {}, options?: CallOptions): Promise<Envelope<t.CreatedSnapshot>> {
    return this.core.call('POST /api/v1/containers/{id}/snapshots', { args: [id], body: data }, options);
  }

  /** Restores a container from a snapshot: what was written since is lost. `PUT /api/v1/containers/{id}/snapshots/{name}` */
  restoreSnapshot(id: string, name: string, options?: CallOptions): Promise<Envelope<t.RestoredSnapshot>> {
    return this.core.call('PUT /api/v1/containers/{id}/snapshots/{name}', { args: [id, name], once: true }, options);
  }

  /** Renames a snapshot for people; its generated name stays. `PUT /api/v1/containers/{id}/snapshots/{name}/alias` */
  renameSnapshot(id: string, name: string, data: t.SnapshotAlias, options?: CallOptions): Promise<Envelope<t.CreatedSnapshot>> {
    return this.core.call('PUT /api/v1/containers/{id}/snapshots/{name}/alias', { args: [id, name], body: data }, options);
  }

  /** Deletes a snapshot. `DELETE /api/v1/containers/{id}/snapshots/{name}` */
  deleteSnapshot(id: string, name: string, options?: CallOptions): Promise<Envelope<t.DeletedSnapshot>> {
    return this.core.call('DELETE /api/v1/containers/{id}/snapshots/{name}', { args: [id, name] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/pause` */
  pause(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/pause', { args: [id] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/resume` */
  resume(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/resume', { args: [id] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/copy` */
  copy(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/copy', { args: [id] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/sync` */
  sync(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/sync', { args: [id] }, options);
  }

  /** Not supported. `PUT /api/v1/containers/{id}/kvm` */
  setKvm(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('PUT /api/v1/containers/{id}/kvm', { args: [id] }, options);
  }

  /** Not supported. `GET /api/v1/containers/{id}/network` */
  getNetwork(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('GET /api/v1/containers/{id}/network', { args: [id] }, options);
  }

  /** Not supported. `PUT /api/v1/containers/{id}/network` */
  setNetwork(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('PUT /api/v1/containers/{id}/network', { args: [id] }, options);
  }

  /** Not supported. `DELETE /api/v1/containers/{id}/network` */
  deleteNetwork(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/containers/{id}/network', { args: [id] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/network/start` */
  startNetwork(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/network/start', { args: [id] }, options);
  }

  /** Not supported. `POST /api/v1/containers/{id}/network/stop` */
  stopNetwork(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('POST /api/v1/containers/{id}/network/stop', { args: [id] }, options);
  }

  /** Not supported. `GET /api/v1/containers/{id}/status-logs` */
  listStatusLogs(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('GET /api/v1/containers/{id}/status-logs', { args: [id] }, options);
  }
}

/** `client.api.proxyPermissions` */
export class ProxyPermissions extends Resource {
  /** Opens or closes the terminals of a project's containers. `PUT /api/v1/projects/{id}/proxy/permissions/default` */
  setProjectDefault(id: string, data: t.ProxyDefault, options?: CallOptions): Promise<Envelope<t.ProxyDefault>> {
    return this.core.call('PUT /api/v1/projects/{id}/proxy/permissions/default', { args: [id], body: data }, options);
  }

  /** Opens or closes a container's terminals. `PUT /api/v1/containers/{id}/proxy/permissions/default` */
  setContainerDefault(id: string, data: t.ProxyDefault, options?: CallOptions): Promise<Envelope<t.ProxyDefault>> {
    return this.core.call('PUT /api/v1/containers/{id}/proxy/permissions/default', { args: [id], body: data }, options);
  }
}

/** `client.api.vault` */
export class Vault extends Resource {
  /** How full the vault is: this realm, and the limit of all together. `GET /api/v1/vault/stats` */
  getStats(query?: t.VaultGetStatsQuery, options?: CallOptions): Promise<Envelope<t.VaultStats>> {
    return this.core.call('GET /api/v1/vault/stats', { query }, options);
  }

  /** Every key in the realm, without its value; a long list is sent as it is read. `GET /api/v1/vault/keys` */
  list(query?: t.VaultListQuery, options?: CallOptions): ListPromise<Envelope<t.VaultKey[]>, t.VaultKey> {
    return this.core.list('GET /api/v1/vault/keys', { query, large: true }, { style: 'whole', items: 'data' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.VaultListQuery, options?: CallOptions): Promise<t.VaultKey[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.VaultListQuery, options?: CallOptions): AsyncIterable<t.VaultKey> {
    return this.list(query, options);
  }

  /** One key with its value. `GET /api/v1/vault/keys/{key}` */
  get(key: string, query?: t.VaultGetQuery, options?: CallOptions): Promise<Envelope<t.VaultRecord>> {
    return this.core.call('GET /api/v1/vault/keys/{key}', { args: [key], query, large: true }, options);
  }

  /** Makes a key or sets it again; metadata that is left out stays as it is. `PUT /api/v1/vault/keys/{key}` */
  set(key: string, data: t.SetVaultKey, query?: t.VaultSetQuery, options?: CallOptions): Promise<Envelope<t.VaultRecord>> {
    return this.core.call('PUT /api/v1/vault/keys/{key}', { args: [key], body: data, query, large: true }, options);
  }

  /** Deletes a key. `DELETE /api/v1/vault/keys/{key}` */
  delete(key: string, query?: t.VaultDeleteQuery, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/vault/keys/{key}', { args: [key], query }, options);
  }

  /** Deletes every key in the realm. `DELETE /api/v1/vault` */
  clear(query?: t.VaultClearQuery, options?: CallOptions): Promise<Envelope<t.VaultCleared>> {
    return this.core.call('DELETE /api/v1/vault', { query, once: true }, options);
  }
}

/** `client.api.events` */
export class Events extends EventsBase {
  /** The history: by number with filters, or on from a cursor. `GET /api/v1/events` */
  list(query?: t.EventsListQuery, options?: CallOptions): ListPromise<Envelope<t.EventList>, t.Event> {
    return this.core.list('GET /api/v1/events', { query }, { style: 'events', items: 'data.events' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.EventsListQuery, options?: CallOptions): Promise<t.Event[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.EventsListQuery, options?: CallOptions): AsyncIterable<t.Event> {
    return this.list(query, options);
  }

  /** How many events there are, by type and by kind of resource. `GET /api/v1/events/stats` */
  getStats(query?: t.EventsGetStatsQuery, options?: CallOptions): Promise<Envelope<t.EventStats>> {
    return this.core.call('GET /api/v1/events/stats', { query }, options);
  }

  /** One event. `GET /api/v1/events/{id}` */
  get(id: string, options?: CallOptions): Promise<Envelope<t.Event>> {
    return this.core.call('GET /api/v1/events/{id}', { args: [id] }, options);
  }

  /** Deletes one event; on a realm's host one that belongs to another realm too is left. `DELETE /api/v1/events/{id}` */
  delete(id: string, options?: CallOptions): Promise<Envelope<t.DeletedEvents>> {
    return this.core.call('DELETE /api/v1/events/{id}', { args: [id] }, options);
  }

  /** Deletes the events that the body chooses; all of them when it chooses none. `DELETE /api/v1/events` */
  bulkDelete(data: t.DeleteEvents, options?: CallOptions): Promise<Envelope<t.DeletedEvents>> {
    return this.core.call('DELETE /api/v1/events', { body: data, once: true }, options);
  }

  /** Deletes what is older than so many days. `POST /api/v1/events/cleanup` */
  cleanup(data: t.CleanUpEvents, options?: CallOptions): Promise<Envelope<t.CleanedEvents>> {
    return this.core.call('POST /api/v1/events/cleanup', { body: data }, options);
  }
}

/** `client.api.activity` */
export class Activity extends Resource {
  /** The account's requests, the latest first. `GET /api/v1/users/auth/activity` */
  list(query?: t.ActivityListQuery, options?: CallOptions): ListPromise<t.ActivityPage, t.ActivityRow> {
    return this.core.list('GET /api/v1/users/auth/activity', { query }, { style: 'page', items: 'data', pages: 'metadata.pages' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.ActivityListQuery, options?: CallOptions): Promise<t.ActivityRow[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.ActivityListQuery, options?: CallOptions): AsyncIterable<t.ActivityRow> {
    return this.list(query, options);
  }

  /** How much there is in the log. `GET /api/v1/users/auth/activity/stats` */
  getStats(options?: CallOptions): Promise<Envelope<t.ActivityStats>> {
    return this.core.call('GET /api/v1/users/auth/activity/stats', {}, options);
  }
}

/** `client.api.users` */
export class Users extends Resource {
  /** An account: one's own. `GET /api/v1/users/{id}` */
  get(id: string, options?: CallOptions): Promise<Envelope<t.UserProfile>> {
    return this.core.call('GET /api/v1/users/{id}', { args: [id] }, options);
  }

  /** Changes one's own account; a new password ends every session. `PUT /api/v1/users/{id}` */
  update(id: string, data: t.UpdateUser, options?: CallOptions): Promise<Envelope<t.User>> {
    return this.core.call('PUT /api/v1/users/{id}', { args: [id], body: data, once: true }, options);
  }

  /** What happened to the caller's account, the latest first; kept 180 days. `GET /api/v1/users/me/security-history` */
  getSecurityHistory(query?: t.UsersGetSecurityHistoryQuery, options?: CallOptions): ListPromise<t.SecurityHistoryEnvelope, t.SecurityEvent> {
    return this.core.list('GET /api/v1/users/me/security-history', { query }, { style: 'page', items: 'data', pages: 'metadata.pages' } satisfies Paged, options);
  }

  /** All of `getSecurityHistory`, page after page. */
  getSecurityHistoryAll(query?: t.UsersGetSecurityHistoryQuery, options?: CallOptions): Promise<t.SecurityEvent[]> {
    return this.getSecurityHistory(query, options).toArray();
  }

  /** Each of `getSecurityHistory`, page after page. */
  getSecurityHistoryIterator(query?: t.UsersGetSecurityHistoryQuery, options?: CallOptions): AsyncIterable<t.SecurityEvent> {
    return this.getSecurityHistory(query, options);
  }
}

/** `client.api.alerts` */
export class Alerts extends Resource {
  /** The account's alerts, the latest first. `GET /api/v1/alerts` */
  list(query?: t.AlertsListQuery, options?: CallOptions): ListPromise<t.AlertPage, t.Alert> {
    return this.core.list('GET /api/v1/alerts', { query }, { style: 'page', items: 'data', pages: 'metadata.pages' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(query?: t.AlertsListQuery, options?: CallOptions): Promise<t.Alert[]> {
    return this.list(query, options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(query?: t.AlertsListQuery, options?: CallOptions): AsyncIterable<t.Alert> {
    return this.list(query, options);
  }

  /** One alert. `GET /api/v1/alerts/{id}` */
  get(id: string, options?: CallOptions): Promise<Envelope<t.Alert>> {
    return this.core.call('GET /api/v1/alerts/{id}', { args: [id] }, options);
  }

  /** Says that somebody takes care of an alert. `POST /api/v1/alerts/{id}/acknowledge` */
  acknowledge(id: string, options?: CallOptions): Promise<Envelope<t.Alert>> {
    return this.core.call('POST /api/v1/alerts/{id}/acknowledge', { args: [id] }, options);
  }

  /** Says that an alert is nothing. `POST /api/v1/alerts/{id}/dismiss` */
  dismiss(id: string, options?: CallOptions): Promise<Envelope<t.Alert>> {
    return this.core.call('POST /api/v1/alerts/{id}/dismiss', { args: [id] }, options);
  }

  /** Every kind of alerts, what it means, and what the account wants of it. `GET /api/v1/alerts/settings` */
  listSettings(options?: CallOptions): Promise<Envelope<t.AlertSetting[]>> {
    return this.core.call('GET /api/v1/alerts/settings', {}, options);
  }

  /** Changes what the account wants of a kind of alerts; what is left out stays as it is. `PUT /api/v1/alerts/settings/{kind}` */
  updateSetting(kind: string, data: t.UpdateAlertSetting, options?: CallOptions): Promise<Envelope<t.AlertSetting>> {
    return this.core.call('PUT /api/v1/alerts/settings/{kind}', { args: [kind], body: data }, options);
  }
}

/** `client.api.tokens` */
export class Tokens extends Resource {
  /** What each of these credentials may do: one answer for each, in their order. `POST /api/v1/auth/verify` */
  verify(data: t.Verify, options?: CallOptions): Promise<Envelope<t.Verified[]>> {
    return this.core.call('POST /api/v1/auth/verify', { body: data }, options);
  }
}

/** `client.api.gates` */
export class Gates extends Resource {
  /** The account's gates, by name. `GET /api/v1/gates` */
  list(options?: CallOptions): ListPromise<Envelope<t.GateSummary[]>, t.GateSummary> {
    return this.core.list('GET /api/v1/gates', {}, { style: 'whole', items: 'data' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(options?: CallOptions): Promise<t.GateSummary[]> {
    return this.list(options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(options?: CallOptions): AsyncIterable<t.GateSummary> {
    return this.list(options);
  }

  /** One gate, as it was set. `GET /api/v1/gates/{name}` */
  get(name: string, options?: CallOptions): Promise<Envelope<t.Gate>> {
    return this.core.call('GET /api/v1/gates/{name}', { args: [name] }, options);
  }

  /** Sets the gate of this name, whole; a new one where there is none. `PUT /api/v1/gates/{name}` */
  set(name: string, data: t.GateDefinition, options?: CallOptions): Promise<Envelope<t.Gate>> {
    return this.core.call('PUT /api/v1/gates/{name}', { args: [name], body: data }, options);
  }

  /** Deletes a gate; proxies that name it let nobody in. `DELETE /api/v1/gates/{name}` */
  delete(name: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/gates/{name}', { args: [name] }, options);
  }

  /** What a gate would answer to a request, and why. `POST /api/v1/gates/{name}/test` */
  test(name: string, data: t.TestGate, options?: CallOptions): Promise<Envelope<t.GateTest>> {
    return this.core.call('POST /api/v1/gates/{name}/test', { args: [name], body: data }, options);
  }
}

/** `client.api.meta` */
export class Meta extends Resource {
  /** The keys that signatures of this server are verified with. `GET /api/v1/meta/public-key` */
  getPublicKeys(options?: CallOptions): Promise<Envelope<t.PublicKeys>> {
    return this.core.call('GET /api/v1/meta/public-key', { anonymous: true }, options);
  }
}

/** `client.api.webhooks` */
export class Webhooks extends Resource {
  /** The account's endpoints. `GET /api/v1/webhooks` */
  list(options?: CallOptions): ListPromise<Envelope<t.Webhook[]>, t.Webhook> {
    return this.core.list('GET /api/v1/webhooks', {}, { style: 'whole', items: 'data' } satisfies Paged, options);
  }

  /** All of `list`, page after page. */
  listAll(options?: CallOptions): Promise<t.Webhook[]> {
    return this.list(options).toArray();
  }

  /** Each of `list`, page after page. */
  listIterator(options?: CallOptions): AsyncIterable<t.Webhook> {
    return this.list(options);
  }

  /** Makes an endpoint; its secret is shown this once. `POST /api/v1/webhooks` */
  create(data: t.CreateWebhook, options?: CallOptions): Promise<Envelope<t.Webhook>> {
    return this.core.call('POST /api/v1/webhooks', { body: data }, options);
  }

  /** One endpoint. `GET /api/v1/webhooks/{id}` */
  get(id: string, options?: CallOptions): Promise<Envelope<t.Webhook>> {
    return this.core.call('GET /api/v1/webhooks/{id}', { args: [id] }, options);
  }

  /** Changes an endpoint; what is left out stays as it is. `PUT /api/v1/webhooks/{id}` */
  update(id: string, data: t.UpdateWebhook, options?: CallOptions): Promise<Envelope<t.Webhook>> {
    return this.core.call('PUT /api/v1/webhooks/{id}', { args: [id], body: data }, options);
  }

  /** Deletes an endpoint with its deliveries. `DELETE /api/v1/webhooks/{id}` */
  delete(id: string, options?: CallOptions): Promise<Envelope<null>> {
    return this.core.call('DELETE /api/v1/webhooks/{id}', { args: [id] }, options);
  }

  /** Sends an endpoint a message of the type `webhook.test`. `POST /api/v1/webhooks/{id}/test` */
  test(id: string, options?: CallOptions): Promise<Envelope<t.WebhookDelivery>> {
    return this.core.call('POST /api/v1/webhooks/{id}/test', { args: [id] }, options);
  }

  /** Gives an endpoint a new secret; for a day messages are signed with the one before, too. `POST /api/v1/webhooks/{id}/rotate-secret` */
  rotateSecret(id: string, options?: CallOptions): Promise<Envelope<t.Webhook>> {
    return this.core.call('POST /api/v1/webhooks/{id}/rotate-secret', { args: [id] }, options);
  }

  /** Deliveries to an endpoint, the latest first. `GET /api/v1/webhooks/{id}/deliveries` */
  listDeliveries(id: string, query?: t.WebhooksListDeliveriesQuery, options?: CallOptions): ListPromise<Envelope<t.WebhookDelivery[]>, t.WebhookDelivery> {
    return this.core.list('GET /api/v1/webhooks/{id}/deliveries', { args: [id], query }, { style: 'full', items: 'data' } satisfies Paged, options);
  }

  /** All of `listDeliveries`, page after page. */
  listDeliveriesAll(id: string, query?: t.WebhooksListDeliveriesQuery, options?: CallOptions): Promise<t.WebhookDelivery[]> {
    return this.listDeliveries(id, query, options).toArray();
  }

  /** Each of `listDeliveries`, page after page. */
  listDeliveriesIterator(id: string, query?: t.WebhooksListDeliveriesQuery, options?: CallOptions): AsyncIterable<t.WebhookDelivery> {
    return this.listDeliveries(id, query, options);
  }

  /** Sends a delivery again, under the same `webhook-id`. `POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/replay` */
  replayDelivery(id: string, delivery_id: string, options?: CallOptions): Promise<Envelope<t.WebhookDelivery>> {
    return this.core.call('POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/replay', { args: [id, delivery_id] }, options);
  }
}

/** `client.api.utilities` */
export class Utilities extends Resource {
  /** What the server sees of its caller. `GET /api/v1/ip` */
  getIpInfo(options?: CallOptions): Promise<Envelope<t.IpInfo>> {
    return this.core.call('GET /api/v1/ip', { anonymous: true }, options);
  }
}

/** All resources: `client.api`. */
export class Api {
  readonly authTokens: AuthTokens;
  readonly permissions: Permissions;
  readonly authentication: Authentication;
  readonly devices: Devices;
  readonly tfa: Tfa;
  readonly realms: Realms;
  readonly projects: Projects;
  readonly containers: Containers;
  readonly proxyPermissions: ProxyPermissions;
  readonly vault: Vault;
  readonly events: Events;
  readonly activity: Activity;
  readonly users: Users;
  readonly alerts: Alerts;
  readonly tokens: Tokens;
  readonly gates: Gates;
  readonly meta: Meta;
  readonly webhooks: Webhooks;
  readonly utilities: Utilities;

  constructor(core: Core) {
    this.authTokens = new AuthTokens(core);
    this.permissions = new Permissions(core);
    this.authentication = new Authentication(core);
    this.devices = new Devices(core);
    this.tfa = new Tfa(core);
    this.realms = new Realms(core);
    this.projects = new Projects(core);
    this.containers = new Containers(core);
    this.proxyPermissions = new ProxyPermissions(core);
    this.vault = new Vault(core);
    this.events = new Events(core);
    this.activity = new Activity(core);
    this.users = new Users(core);
    this.alerts = new Alerts(core);
    this.tokens = new Tokens(core);
    this.gates = new Gates(core);
    this.meta = new Meta(core);
    this.webhooks = new Webhooks(core);
    this.utilities = new Utilities(core);
  }
}
