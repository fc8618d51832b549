// Written by sdk/emit from openapi.json and sdk/names.json. Do not edit.

/** A machine code of docs/errors.md. Servers of a newer version may send others. */
export type ErrorCode =
  | 'ACCESS_DENIED'
  | 'ACCOUNT_BANNED'
  | 'ALERT_KIND_NOT_FOUND'
  | 'ALERT_NOT_FOUND'
  | 'AUTHORIZATION_PENDING'
  | 'AUTH_TOKEN_LIMIT_REACHED'
  | 'CANNOT_MODIFY_OTHER_USER'
  | 'COMMAND_NOT_STARTED'
  | 'CONTAINER_NAME_IN_USE'
  | 'CONTAINER_NOT_FOUND'
  | 'CREDENTIAL_CHANGED'
  | 'CURRENT_PASSWORD_INCORRECT'
  | 'CURRENT_PASSWORD_REQUIRED'
  | 'DELIVERY_NOT_FOUND'
  | 'DEVICE_BINDING_GONE'
  | 'DEVICE_CODE_GONE'
  | 'DEVICE_COOKIE_MISSING'
  | 'DUPLICATE_ALIAS'
  | 'EMAIL_NOT_VERIFIED'
  | 'EVENTS_CURSOR_EXPIRED'
  | 'EVENTS_CURSOR_INVALID'
  | 'EVENTS_HISTORY_RESET'
  | 'EVENTS_QUERY_CONFLICT'
  | 'EVENT_NOT_FOUND'
  | 'EXPIRATION_IN_PAST'
  | 'EXPIRED_TOKEN'
  | 'GATE_ACCOUNT'
  | 'GATE_CONFIG'
  | 'GATE_HEADERS'
  | 'GATE_HOST'
  | 'GATE_NOT_FOUND'
  | 'GATE_PROXY_UNTRUSTED'
  | 'GATE_UNKNOWN'
  | 'INCORRECT_PASSWORD'
  | 'INSUFFICIENT_PERMISSIONS'
  | 'INTERNAL_ERROR'
  | 'INVALID_ALIAS_FORMAT'
  | 'INVALID_BACKUP_CODE'
  | 'INVALID_COLOR_FORMAT'
  | 'INVALID_CONTAINER_NAME'
  | 'INVALID_CREDENTIALS'
  | 'INVALID_DATE_RANGE'
  | 'INVALID_EXPIRATION_FORMAT'
  | 'INVALID_FORWARDED_FOR'
  | 'INVALID_GRANT'
  | 'INVALID_ID_FORMAT'
  | 'INVALID_IP_FORMAT'
  | 'INVALID_MAIL_TOKEN'
  | 'INVALID_OTP_CODE'
  | 'INVALID_PARAMETER_VALUE'
  | 'INVALID_PUBLIC_KEY_FORMAT'
  | 'INVALID_QUOTA_VALUE'
  | 'INVALID_REALM_ID_FORMAT'
  | 'INVALID_TEMP_TOKEN'
  | 'INVALID_TOKEN'
  | 'INVITATION_REQUIRED'
  | 'IP_NOT_WHITELISTED'
  | 'IP_WHITELIST_TOO_LARGE'
  | 'KIT_NOT_INSTALLED'
  | 'LIMIT_REACHED'
  | 'METHOD_NOT_ALLOWED'
  | 'MISDIRECTED_REQUEST'
  | 'MISSING_REQUIRED_FIELD'
  | 'MISSING_TOKEN'
  | 'NOT_SUPPORTED'
  | 'NO_ROUTE'
  | 'OPERATION_STATE_CONFLICT'
  | 'OTP_REQUIRED'
  | 'OUTCOME_UNKNOWN'
  | 'PASSWORD_REQUIRED'
  | 'PATH_NOT_CANONICAL'
  | 'PAYLOAD_TOO_LARGE'
  | 'PROJECT_CONTAINER_LIMIT'
  | 'PROJECT_NOT_FOUND'
  | 'PUBLIC_STORAGE_TOO_LARGE'
  | 'RATE_LIMIT_EXCEEDED'
  | 'REALM_HOST_UNKNOWN'
  | 'REALM_NOT_ALLOWED'
  | 'REALM_SCOPE_REQUIRED'
  | 'RESERVED_IDENTITY'
  | 'RESOURCE_ALREADY_EXISTS'
  | 'RESOURCE_NOT_FOUND'
  | 'RUNTIME_UNAVAILABLE'
  | 'SERVER_CONTAINER_LIMIT'
  | 'SESSION_REQUIRED'
  | 'SIGNUP_DISABLED'
  | 'SLOW_DOWN'
  | 'SNAPSHOT_NOT_FOUND'
  | 'SSH_PUBLIC_KEY_IN_USE'
  | 'TIMEOUT'
  | 'TOKEN_EXPIRED'
  | 'TOKEN_NOT_FOUND'
  | 'TWOFACTOR_ALREADY_ENABLED'
  | 'TWOFACTOR_NOT_ENABLED'
  | 'TWOFACTOR_NOT_VERIFIED'
  | 'TWOFACTOR_RATE_LIMIT'
  | 'UNAVAILABLE'
  | 'USER_NOT_FOUND'
  | 'VALIDATION_ERROR'
  | 'VAULT_KEY_NOT_FOUND'
  | 'VAULT_LIMIT_EXCEEDED'
  | 'WEAK_PASSWORD'
  | 'WEBHOOK_NOT_FOUND'
  | (string & {});

/**
 * A tree of permissions: `true` grants a leaf, a leaf left out is not granted. Add leaves of your own by
 * declaration merging.
 */
export interface Permissions {
  containers?: {
    create?: boolean | undefined;
    read?: boolean | undefined;
    update?: boolean | undefined;
    delete?: boolean | undefined;
    actions?: {
      start?: boolean | undefined;
      stop?: boolean | undefined;
      restart?: boolean | undefined;
      exec?: boolean | undefined;
      logs?: boolean | undefined;
    } | undefined;
    features?: {
      ai?: boolean | undefined;
      hoody_kit?: boolean | undefined;
      snapshots?: boolean | undefined;
      networking?: boolean | undefined;
      kvm?: boolean | undefined;
    } | undefined;
  } | undefined;
  projects?: {
    create?: boolean | undefined;
    read?: boolean | undefined;
    update?: boolean | undefined;
    delete?: boolean | undefined;
    members?: {
      invite?: boolean | undefined;
      remove?: boolean | undefined;
      change_roles?: boolean | undefined;
    } | undefined;
  } | undefined;
  financial?: {
    wallet?: {
      read?: boolean | undefined;
      transfer?: boolean | undefined;
      withdraw?: boolean | undefined;
    } | undefined;
    billing?: {
      read?: boolean | undefined;
      manage_payment_methods?: boolean | undefined;
      download_invoices?: boolean | undefined;
    } | undefined;
    server_rental?: {
      view_marketplace?: boolean | undefined;
      rent_servers?: boolean | undefined;
      extend_rentals?: boolean | undefined;
      terminate_rentals?: boolean | undefined;
    } | undefined;
    subscriptions?: {
      purchase?: boolean | undefined;
    } | undefined;
  } | undefined;
  resources?: {
    vault?: boolean | undefined;
    events?: boolean | undefined;
    ssh_keys?: boolean | undefined;
    storage_shares?: boolean | undefined;
    proxy_aliases?: boolean | undefined;
    firewalls?: boolean | undefined;
    realms?: boolean | undefined;
    auth_token_public_profile?: boolean | undefined;
    create_tokens?: boolean | undefined;
    gates?: boolean | undefined;
    introspect?: boolean | undefined;
    guard?: boolean | undefined;
    read_account?: boolean | undefined;
  } | undefined;
  admin?: {
    users?: boolean | undefined;
    servers?: boolean | undefined;
    system?: boolean | undefined;
    billing?: boolean | undefined;
    monitoring?: boolean | undefined;
  } | undefined;
}

/** A page of the request log. */
export interface ActivityPage {
  /** The rows, the latest first. */
  data: ActivityRow[];
  /** What was done, for people. */
  message: string;
  /** Where the page stands. */
  metadata: PageMetadata;
  /** The HTTP status, again. */
  statusCode: number;
}

/** One request of the account. Fields after `user_agent` up to `created_at` are this server's own. */
export interface ActivityRow {
  /** When it was answered. */
  created_at: Timestamp;
  /** The rule that refused it, e.g. `expired`, `address`, `permission`; `credentials` for a failed login. */
  deny_reason?: string | null;
  /** How long it took, in microseconds. */
  duration_us?: number;
  /** The gate that decided; absent if the proxy's URL named the permission itself. */
  gate_id?: Id | null;
  /** The host of the client's request, if a proxy asked about one. */
  host?: string | null;
  /** Its id. */
  id: Id;
  /** Where it came from. */
  ip_address: string;
  /** The method; `OTHER` for one that is no route's. At a gate it is that of the client's request. */
  method: string;
  /** The path, without the query; `[redacted]` stands for a part that looks like a credential. At a gate it is the route's pattern, or the client's path if the gate logs paths; empty if no route matched. */
  path: string;
  /** The permission that it needed. */
  permission?: string | null;
  /** The realm that the host named. */
  realm_id?: Id | null;
  /** The session that asked. */
  session_id?: Id | null;
  /** The status of the answer; 499 when the client left before it. */
  status_code: number;
  /** The token that asked. */
  token_id?: Id | null;
  /** What the client calls itself. */
  user_agent?: string | null;
  /** The account. */
  user_id: Id;
  /** `gate`, `ext_authz`, `verify` or `introspect` if it was asked about a request to another service; absent for a request to this API. */
  via?: string | null;
}

/** How much there is in the request log. */
export interface ActivityStats {
  /** The instant of the newest. */
  newest_record?: Timestamp | null;
  /** The instant of the oldest. */
  oldest_record?: Timestamp | null;
  /** After how many days a row is dropped. */
  retention_days: number;
  /** How many rows there are. */
  total_records: number;
  /** What the rows take, packed as they are stored. */
  total_size_bytes: number;
}

/** How often an address came. */
export interface AddressUses {
  /** The address. */
  ip_address: string;
  /** How often. */
  total: number;
}

/** Something that the account should know. */
export interface Alert {
  /** How often it happened. */
  count: number;
  /** What else there is to say, by kind: `addresses`, `reason`, `expires_at`, `days`, …. */
  details: Record<string, unknown>;
  /** Why it is told, and what to do. */
  explanation: string;
  /** When it began. */
  first_at: Timestamp;
  /** Its id. */
  id: Id;
  /** From where, the last time. */
  ip_address?: string | null;
  /** Whether the kind was muted when it began: it was told to nobody. */
  is_muted: boolean;
  /** `token_new_address`, `refusal_burst`, `dead_token_used`, `login_new_address`, `two_factor_disabled`, `failed_logins`, `token_expiring`, `token_unused` or `webhook_disabled`. There may be more at any time. */
  kind: string;
  /** When it happened last. */
  last_at: Timestamp;
  /** What happened, in a sentence. */
  message: string;
  /** When it was acknowledged or dismissed. */
  settled_at?: Timestamp | null;
  /** `info`, `warning` or `critical`. */
  severity: string;
  /** `open`, `acknowledged` or `dismissed`. */
  state: string;
  /** Which one; `null` where the caller may not see it. */
  subject_id?: Id | null;
  /** What that was called then. */
  subject_name?: string | null;
  /** What it is about: `token`, `account` or `webhook`. */
  subject_type: string;
  /** The kind in a few words. */
  title: string;
}

/** A page of alerts: the whole answer, since `metadata` stands beside `data`. */
export interface AlertPage {
  /** The latest first. */
  data: Alert[];
  /** What was done, for people. */
  message: string;
  /** Which page it is. */
  metadata: PageMetadata;
  /** The HTTP status, again. */
  statusCode: number;
}

/** A kind of alerts, and what the account wants of it. */
export interface AlertSetting {
  /** Unless told. */
  default_threshold: number;
  /** Of `token_unused`: whether such tokens are disabled. `null` for every other kind. */
  disables?: boolean | null;
  /** Why it is told, and what to do. */
  explanation: string;
  /** Whether there are alerts of it. */
  is_enabled: boolean;
  /** The kind. */
  kind: string;
  /** Whether a mail tells of it, to an address that is verified. */
  mail: boolean;
  /** The most. */
  max_threshold: number;
  /** The least that may be set. */
  min_threshold: number;
  /** Until when its alerts are kept and told to nobody. */
  muted_until?: Timestamp | null;
  /** `info`, `warning` or `critical`. */
  severity: string;
  /** From when on. */
  threshold: number;
  /** What the threshold counts. */
  threshold_unit: string;
  /** The kind in a few words. */
  title: string;
  /** Whether webhooks tell of it, those that want `alert.raised`. */
  webhook: boolean;
}

/** What a sign-in page needs to know of the server. */
export interface AuthConfig {
  /** What the server calls itself. */
  appName: string;
  /** Signing in through GitHub: not here. */
  githubEnabled: boolean;
  /** Signing in through Google: not here. */
  googleEnabled: boolean;
  /** Whether an invitation is asked for. */
  inviteRequired: boolean;
  /** Its picture; always `null` here. */
  logoUrl?: string | null;
  /** Its colour; always `null` here. */
  primaryColor?: string | null;
  /** Whether anybody, or who is invited, may sign up. */
  signupEnabled: boolean;
}

/** A token as every answer shows it. `token` is there once: when it was made. */
export interface AuthToken {
  /** Its name, unique in the account. */
  alias: string;
  /** Whether it may be used on the base host when it has no list. */
  allow_no_realm?: boolean;
  /** When it was made. */
  created_at: Timestamp;
  /** The token that made it; `null` when a session did. */
  created_by_token_id?: Id | null;
  /** How many tokens stand between it and a session. */
  delegation_depth?: number;
  /** What it is for, for people. */
  description?: string | null;
  /** Whether it may reach the event stream. */
  event_access?: boolean;
  /** When it ends; `null` is never. */
  expires_at?: Timestamp | null;
  /** What the operator's service calls whom the token is for. */
  external_id?: string | null;
  /** The last four characters of its secret, to tell tokens apart; absent for one that an older version made. */
  hint?: string | null;
  /** Its id. */
  id: Id;
  /** Addresses it may be used from, canonical; `*` is any. */
  ip_whitelist: string[];
  /** Whether it can be used at all. */
  is_enabled: boolean;
  /** When it was last used, to about half a minute. */
  last_used_at?: Timestamp | null;
  /** Where it was last used from. */
  last_used_ip?: string | null;
  /** What the service stored with it. */
  meta?: Record<string, unknown> | null;
  /** The leaves it holds, as a tree of `true`. */
  permissions?: Permissions;
  /** What its secret starts with: `hdy_`. */
  prefix: string;
  /** Ed25519 key shown in its public profile: 64 hex digits. */
  public_key?: string | null;
  /** What its public profile holds. */
  public_storage?: Record<string, unknown> | null;
  /** Realms it is bound to; none listed means no list. */
  realm_ids?: Id[];
  /** Words that it is found by. */
  tags?: string[];
  /** The secret itself; only in the answers to create and copy. */
  token?: Secret | null;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** Whether it may reach the vault, beside the permission. */
  vault_access?: boolean;
}

/** An authorization code. */
export interface AuthorizationCode {
  /** 64 hex digits, good once within 60 seconds. */
  code: Secret;
}

/** Asks for the code of an intent. */
export interface Authorize {
  /** The challenge that the login was given (S256). */
  code_challenge: string;
  /** Where the code will be sent: a host that the server knows. */
  redirect_uri: string;
}

/** New backup codes; the old ones open nothing any more. */
export interface BackupCodes {
  /** Shown this once. */
  backup_codes: Secret[];
}

/** The second factor is asked for: send a code with the token to `POST /users/auth/2fa/verify`. */
export interface Challenge {
  /** What is asked for: `totp`, or a backup code in its place. */
  method: string;
  /** Always true. */
  requires_2fa: true;
  /** Good for five minutes, and for nothing but this. */
  temp_token: Secret;
}

/** How much of the history to keep. */
export interface CleanUpEvents {
  /** Days, 1 to 365. */
  retention_days: number;
}

/** What a clean-up deleted. */
export interface CleanedEvents {
  /** What is older than this was deleted. */
  cutoff_date: Timestamp;
  /** So many events are gone. */
  deleted_count: number;
  /** As asked for. */
  retention_days: number;
}

/** Turns the second factor on by a code of the new secret. */
export interface ConfirmTwoFactor {
  /** Six digits. */
  code: Secret;
}

/** A container. */
export interface Container {
  /** Stored and returned, without effect. */
  ai: boolean;
  /** Whether hoody starts it again when it ends by itself. */
  autostart: boolean;
  /** `#` and three or six upper-case hex digits. */
  color: string;
  /** A note for people. */
  comment?: string | null;
  /** The image it was made from. */
  container_image: string;
  /** When it was made. */
  created_at: Timestamp;
  /** Stored and returned, without effect. */
  dev_kit: boolean;
  /** The environment of every command that runs in it. */
  environment_vars?: Record<string, string>;
  /** Always false. */
  has_proxy_domains?: boolean;
  /** Whether the container or its project has proxy permissions. */
  has_proxy_permissions?: boolean;
  /** Whether the terminal answers. */
  hoody_kit: boolean;
  /** Its id. */
  id: Id;
  /** Always false. */
  is_default?: boolean;
  /** Always false. */
  kvm?: boolean;
  /** The snapshot it was restored from last. */
  last_used_snapshot?: string | null;
  /** Its name, unique in the project. */
  name: string;
  /** Always null: there are no pools. */
  pool_id?: string | null;
  /** Always false. */
  prespawn?: boolean;
  /** The project's name. */
  project_alias?: string | null;
  /** Its project. */
  project_id: Id;
  /** Always 0. */
  proxy_domains_count?: number;
  /** `none`, `container`, `project` or `both`. */
  proxy_permissions_scope: string;
  /** Stored and returned, without effect. */
  ramdisk: boolean;
  /** `container` or `project`. */
  ramdisk_scope: string;
  /** Realms it belongs to. */
  realm_ids?: Id[];
  /** The server that runs it. */
  server_id?: string | null;
  /** The server's name in URLs. */
  server_name?: string | null;
  /** How many snapshots it has. */
  snapshot_count?: number;
  /** Always null: containers cannot be copied. */
  source_container_id?: string | null;
  /** Stored and returned, without effect. */
  ssh_public_key?: string | null;
  /** `creating`, `running`, `stopped`, `failed` or `deleting`. */
  status: string;
  /** Why it failed. */
  status_reason?: string | null;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** Always empty: nothing of the host is mounted. */
  volumes?: Record<string, unknown>;
  /** What to know about this answer, e.g. `ENGINE_UNAVAILABLE`; only for a single container. */
  warnings?: string[] | null;
}

/** A container's environment. */
export interface ContainerEnvironment {
  /** Each variable with its value. */
  environment_vars: Record<string, string>;
  /** After a change: whether the next command sees it. Always true. */
  synced?: boolean | null;
}

/** A page of containers. */
export interface ContainerList {
  /** The containers of this page. */
  containers: Container[];
  /** The position of the page. */
  pagination: Pagination;
}

/** The result of an operation on a container. */
export interface ContainerOperation {
  /** The container. */
  container_id: Id;
  /** Always false. */
  error: boolean;
  /** The result in a sentence. */
  message: string;
  /** `start`, `stop`, `force-stop` or `restart`. */
  operation: string;
  /** Names this operation, 24 hex digits. */
  operation_id: string;
  /** Its project. */
  project_id: Id;
  /** The container's status now. An operation that takes longer than ten seconds goes on. */
  status: string;
}

/** A container's use of its server. Sizes are bytes. */
export interface ContainerStats {
  /** CPU time. */
  cpu: CpuStats;
  /** The container. */
  id: Id;
  /** Memory. */
  memory: MemoryStats;
  /** How many processes it has. */
  processes: number;
  /** How long gathering this took, in milliseconds. */
  processing_time: number;
  /** Its project. */
  project_id: Id;
  /** The project's name. */
  project_name: string;
  /** The server's name. */
  server_name: string;
  /** The container's status. */
  status: string;
}

/** Asks for a new token with another's limits and a secret of its own. */
export interface CopyToken {
  /** Its name; `<source> copy` when left out. */
  alias?: string | undefined;
  /** When it ends; as the source when left out, never when `null`. */
  expires_at?: ExpiresAt | null | undefined;
  /** A code of the second factor. */
  otp_code?: Secret | undefined;
}

/** CPU time of a container. */
export interface CpuStats {
  /** Its limit, in nanoseconds a second. */
  allocated_time: number;
  /** Used since the container started, in nanoseconds. */
  usage: number;
}

/** Asks for a new container. Unknown keys are ignored. */
export interface CreateContainer {
  /** Stored and returned, without effect. */
  ai?: boolean | undefined;
  /** Whether hoody starts it again when it ends by itself. */
  autostart?: boolean | undefined;
  /** Three or six hex digits, with or without `#`; chosen at random when left out. */
  color?: string | undefined;
  /** A note for people. */
  comment?: string | null | undefined;
  /** An image that the operator named; the first of them when left out or `null`. */
  container_image?: string | null | undefined;
  /** Stored and returned, without effect; as `hoody_kit` when left out. */
  dev_kit?: boolean | undefined;
  /** The environment of every command that runs in it. */
  environment_vars?: Record<string, string> | undefined;
  /** Whether the terminal answers. */
  hoody_kit?: boolean | undefined;
  /** Its name; random when left out, or `rand`. */
  name?: string | undefined;
  /** Stored and returned, without effect. */
  ramdisk?: boolean | undefined;
  /** Realms it belongs to. */
  realm_ids?: Id[] | undefined;
  /** The server to run it on. */
  server_id: string;
  /** Stored and returned, without effect; unique. */
  ssh_public_key?: string | null | undefined;
}

/** Gives another account access to a project. */
export interface CreateMember {
  /** What it may do. */
  permission_level: PermissionLevel;
  /** The account. */
  user_id: Id;
}

/** Asks for a new project. */
export interface CreateProject {
  /** Its name, unique in the account. */
  alias: string;
  /** Three or six hex digits, with or without `#`; chosen at random when left out. */
  color?: string | undefined;
  /** How many containers it may hold; `null` is no limit. */
  max_containers?: number | null | undefined;
  /** Realms it belongs to. */
  realm_ids?: Id[] | undefined;
}

/** Asks for a snapshot. */
export interface CreateSnapshot {
  /** A name for people. */
  alias?: string | undefined;
  /** After how many days it is deleted, 1 to 3650; never when left out. */
  expiry?: number | undefined;
}

/** Asks for a new token. Every field may be left out. */
export interface CreateToken {
  /** Letters, digits, spaces, `_` and `-`; made up when left out. */
  alias?: string | undefined;
  /** Whether it may be used on the base host; yes when left out. */
  allow_no_realm?: boolean | undefined;
  /** Takes away what could be used to get further credentials, and bounds its life. */
  deny_reauthorization?: boolean | undefined;
  /** What it is for, for people. `null` is none. */
  description?: string | null | undefined;
  /** Whether it may reach the event stream; yes when left out. */
  event_access?: boolean | undefined;
  /** When it ends; never when left out or `null`. */
  expires_at?: ExpiresAt | null | undefined;
  /** What your service calls whom the token is for: at most 255 characters, not unique. `null` is none. */
  external_id?: string | null | undefined;
  /** Addresses it may be used from; any when left out. */
  ip_whitelist?: IpWhitelist | undefined;
  /** What your service stores with it: at most 4,096 bytes as JSON, never public. `null` is none. */
  meta?: Record<string, unknown> | null | undefined;
  /** A code of the second factor. */
  otp_code?: Secret | undefined;
  /** A named set of permissions; wins over `permissions`. */
  permission_template?: string | null | undefined;
  /** A tree of booleans; what is left out is not granted. */
  permissions?: Permissions | undefined;
  /** Ed25519 key: 64 hex digits. */
  public_key?: string | null | undefined;
  /** At most 64 KiB as JSON. */
  public_storage?: Record<string, unknown> | null | undefined;
  /** Realms to bind it to. */
  realm_ids?: Id[] | undefined;
  /** Words to find it by. */
  tags?: string[] | undefined;
  /** Whether it may reach the vault; no when left out. */
  vault_access?: boolean | undefined;
}

/** An endpoint to be. */
export interface CreateWebhook {
  /** What it is for. */
  description?: string | undefined;
  /** Which events it gets; all unless told. */
  event_types?: string[] | undefined;
  /** Of which realms; all unless told. */
  realm_ids?: Id[] | undefined;
  /** Where it is: `https://…`. */
  url: string;
}

/** A new snapshot. */
export interface CreatedSnapshot {
  /** The container. */
  container_id: Id;
  /** Its project. */
  project_id: Id;
  /** The snapshot. */
  snapshot: Snapshot;
}

/** A new token, with its secret. The server shows the secret once. */
export interface CreatedToken extends AuthToken {
  /** The secret itself. Store it now. */
  token: Secret;
}

/** What a token is told about itself (`GET /auth/tokens/me`). */
export interface CurrentToken {
  /** Where it may be used. */
  restrictions: Restrictions;
  /** The token, without its secret. */
  token: AuthToken;
}

/** Which events to delete; all that is given must hold. Nothing given is every event of the account. */
export interface DeleteEvents {
  /** Strictly before this instant (ISO 8601). */
  before_date?: string | undefined;
  /** What happened. */
  event_type?: string | undefined;
  /** In this realm. */
  realm_id?: Id | undefined;
  /** The thing. */
  resource_id?: Id | undefined;
  /** What kind of thing it happened to. */
  resource_type?: string | undefined;
}

/** A container that went with its project. */
export interface DeletedContainer {
  /** Its id. */
  id: string;
  /** Its name. */
  name: string;
}

/** How many things went with a deleted project. */
export interface DeletedCounts {
  /** Its proxy aliases. */
  aliases: number;
  /** Its containers. */
  containers: number;
  /** Its members' permissions. */
  permissions: number;
}

/** What was deleted. */
export interface DeletedEvents {
  /** So many events are gone. */
  deleted_count: number;
  /** So many were left: on a realm's host, those that belong to another realm too. */
  skipped_count?: number;
}

/** Which things went with a deleted project. */
export interface DeletedItems {
  /** Its containers. */
  containers: DeletedContainer[];
}

/** What went with a deleted project. */
export interface DeletedProject {
  /** How many of each. */
  deleted: DeletedCounts;
  /** Which; only with `include_deleted_items=true`. */
  deleted_items?: DeletedItems | null;
}

/** A snapshot that was deleted. */
export interface DeletedSnapshot {
  /** The container. */
  container_id: Id;
  /** Its project. */
  project_id: Id;
  /** The snapshot's generated name. */
  snapshot_name: string;
}

/** Refuses the request of a device. */
export interface DenyDevice {
  /** What looking the code up gave. */
  ticket: Secret;
}

/** A code to show, and one to poll with. */
export interface DeviceCode {
  /** To poll with: 64 hex digits. */
  device_code: Secret;
  /** For how many seconds the codes are good. */
  expires_in?: number | null;
  /** How many seconds to wait between two polls. */
  interval?: number | null;
  /** To show: `XXXX-XXXX`. */
  user_code: string;
  /** Where the person types it. */
  verification_uri: string;
  /** The same with the code filled in. */
  verification_uri_complete: string;
}

/** Approves the request of a device by signing in. */
export interface DeviceLogin {
  /** Compared without regard to case. */
  email?: string | undefined;
  /** The password. */
  password: Secret;
  /** What looking the code up gave. */
  ticket: Secret;
  /** Compared exactly. */
  username?: string | undefined;
}

/** What signing in for a device gives: never a session. */
export type DeviceLoginAnswer = 
  | (DeviceStatus & { method?: never; requires_2fa?: never; temp_token?: never; })
  | (Challenge & { status?: never; });

/** Where a request of a device stands: `approved` or `denied`. */
export interface DeviceStatus {
  /** `approved` or `denied`. */
  status: string;
}

/** Turns the second factor off. */
export interface DisableTwoFactor {
  /** Six digits, or a backup code. */
  code: Secret;
  /** The account's password. */
  password: Secret;
}

/** What a token and all that it descends from allow together; its realms are beside this. */
export interface EffectiveLimits {
  /** Whether it may read events. */
  event_access: boolean;
  /** When it ends; null is never. */
  expires_at?: Timestamp | null;
  /** Addresses and networks; empty is none at all. */
  ip_whitelist: string[];
  /** The tree, granted leaves only. */
  permissions: Permissions;
  /** Whether it may open the vault, with the permission to. */
  vault_access: boolean;
}

/** The second factor is on, every session before is over, and this is the new one. */
export interface EnabledTwoFactor extends EndedSessions {
  /** Always true. */
  enabled: boolean;
  /** Since when. */
  enabled_at: Timestamp;
}

/** Every session before is over, and this is the new one. */
export interface EndedSessions extends RefreshData {
  /** Always true. */
  sessions_revoked: boolean;
}

/** Something that happened. */
export interface Event {
  /** Who did it. */
  actor?: EventActor | null;
  /** When it happened. */
  created_at: Timestamp;
  /** The place after it: what `after` and `Last-Event-ID` take. */
  cursor?: string | null;
  /** True for what is told live and not kept. */
  ephemeral?: boolean;
  /** What happened, e.g. `auth.token.created`. */
  event_type: string;
  /** Its id: the same on every node, in the history and in a stream. */
  id: Id;
  /** More about it; never a secret. */
  payload: Record<string, unknown>;
  /** The project that it concerns, if any. */
  project_id?: Id | null;
  /** Realms of the thing, as far as the caller may know of them. */
  realm_ids?: Id[];
  /** The thing. */
  resource_id: Id;
  /** What kind of thing it happened to, e.g. `auth_token`. */
  resource_type: string;
  /** The account that it belongs to. */
  user_id: Id;
}

/** Who did something. */
export interface EventActor {
  /** The session or token, if it was one. */
  id?: Id | null;
  /** `user` for the account's sessions and tokens, `system` for the operator and the server itself. */
  kind: string;
  /** `session`, `token`, `operator` or `nobody`. */
  via?: string;
}

/** A part of the history. */
export interface EventList {
  /** The events, in the order that was asked for. */
  events: Event[];
  /** Where they stand. */
  pagination: EventPagination;
}

/** Where a part of the history stands. */
export interface EventPagination {
  /** Whether there are more. */
  has_more: boolean;
  /** The end of the history; only with a cursor. */
  latest_cursor?: string | null;
  /** The most that are given at once. */
  limit: number;
  /** What to send as `after` to go on; only with a cursor. */
  next_cursor?: string | null;
  /** How many were skipped; 0 with a cursor. */
  offset: number;
  /** How many there are in all; -1 with a cursor. */
  total: number;
}

/** How many events there are. */
export interface EventStats {
  /** By what kind of thing it happened to. */
  by_resource: Record<string, number>;
  /** By what happened. */
  by_type: Record<string, number>;
  /** When the newest happened. */
  newest_event?: Timestamp | null;
  /** When the oldest happened. */
  oldest_event?: Timestamp | null;
  /** All of them. */
  total_events: number;
}

/** Gets a session for a code. */
export interface Exchange {
  /** The code. */
  code: Secret;
  /** What the challenge was made from. */
  code_verifier: Secret;
  /** The same as with `/auth/authorize`, character by character. */
  redirect_uri: string;
}

/** When a token ends, in any of the forms of the API's contract but `null`. */
export type ExpiresAt = Timestamp | number | string;

/** What to explain: a permission, or a request at a gate; of the caller, or of a token. */
export interface Explain {
  /** Where the client is; where this request comes from unless told. */
  address?: string | undefined;
  /** The token or session to explain, by its text. */
  credential?: Secret | undefined;
  /** The gate that is asked, by its name, with `method` and `path` of the request. */
  gate?: string | undefined;
  /** The request's host at the gate, without port; the gate's first unless told. */
  host?: string | undefined;
  /** The request's method at the gate. */
  method?: string | undefined;
  /** The request's path at the gate, as the client sends it. */
  path?: string | undefined;
  /** The permission that is asked for, e.g. `orders.read`. */
  permission?: string | undefined;
  /** The realm that is asked in; the one of this request unless told. */
  realm_id?: Id | undefined;
  /** The token to explain, by its id; the caller's own credential unless told. */
  token_id?: Id | undefined;
}

/** Whether it would be allowed, and everything that stands against it. Nothing is noted as a use. */
export interface Explanation {
  /** Whether it would be allowed. */
  allowed: boolean;
  /** The code of the refusal. */
  code?: string | null;
  /** The refusal, for people. */
  message?: string | null;
  /** What is needed: a permission; at a gate also `public` or `any`. */
  needs?: string | null;
  /** Everything that stands against it, in the order of the decision: the first decides. */
  obstacles?: GateObstacle[];
  /** The realm that is asked in. */
  realm_id?: Id | null;
  /** The pattern of the route that decides at the gate. */
  route?: string | null;
  /** The status of the answer: of `GET /auth/check`, or of the gate. */
  status: number;
  /** The token that is explained. */
  token_id?: Id | null;
}

/** A gate with its definition. */
export interface Gate {
  /** When it was made. */
  created_at: Timestamp;
  /** The gate as it was set. */
  definition: GateDefinition;
  /** Its id, which the proxy's URL names. */
  id: Id;
  /** What its owner calls it. */
  name: string;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** The URL that the proxy asks. */
  url: string;
  /** Routes that are valid but may be a mistake, one sentence each. */
  warnings?: string[];
}

/** What a gate decides by. A request that no route matches is refused. */
export interface GateDefinition {
  /** Whose tokens come in: `own` (default), `any`, or a list of account ids besides the owner's. */
  accounts?: unknown | undefined;
  /** `fold` for services that ignore case in paths; `exact` by default. */
  case?: string | undefined;
  /** The hosts that clients use, without port. */
  hosts: string[];
  /** What the request log keeps: `route` (default) is the route's pattern, `path` the client's path. */
  log?: string | undefined;
  /** 1 to 64 lower-case letters, digits, hyphens and underscores. Optional in requests, whose path has it. */
  name?: string | undefined;
  /** Whether refusals name OAuth metadata of the first host; false by default. */
  oauth?: boolean | undefined;
  /** `pass` lets a browser's preflight requests through; `check` (default) does not. */
  preflight?: string | undefined;
  /** `none` (default), a realm id, or `{realm}.` before a host name. */
  realm?: string | undefined;
  /** The routes, at most 1,000. The most literal pattern decides. */
  route?: GateRoute[] | undefined;
  /** Whether sessions come in; false by default. */
  sessions?: boolean | undefined;
  /** Whether every answer carries a signed identity; false by default. */
  sign?: boolean | undefined;
  /** What the proxy takes off the path behind the gate. For explanations only. */
  strip?: string | undefined;
}

/** One rule that keeps a request out. */
export interface GateObstacle {
  /** What to change. */
  change: string;
  /** Its code. */
  code: string;
  /** The rule, for people. */
  message: string;
}

/** A route of a gate. It has exactly one of `public`, `any`, `permission`, `any_of` and `all_of`. */
export interface GateRoute {
  /** Permissions that are all needed. */
  all_of?: string[] | undefined;
  /** True if any credential that the gate accepts comes in. */
  any?: boolean | undefined;
  /** Permissions of which one is needed. */
  any_of?: string[] | undefined;
  /** What one request takes of the token's limits; 1 by default. */
  cost?: number | undefined;
  /** As the gate's, for this route. */
  log?: string | undefined;
  /** The methods; all if left out. GET includes HEAD. */
  methods?: string[] | undefined;
  /** The pattern: literal segments, `{name}` for one segment, and a last `**`. */
  path: string;
  /** The permission that is needed. */
  permission?: string | undefined;
  /** True if no credential is needed. */
  public?: boolean | undefined;
  /** `opaque` lets what `**` matches hold `%2F`, `;` and `//`; `canonical` by default. */
  tail?: string | undefined;
}

/** A gate in a list. */
export interface GateSummary {
  /** When it was made. */
  created_at: Timestamp;
  /** The hosts that it answers for. */
  hosts: string[];
  /** Its id, which the proxy's URL names. */
  id: Id;
  /** What its owner calls it. */
  name: string;
  /** `none`, a realm id, or `{realm}.` before a host name. */
  realm: string;
  /** How many routes it has. */
  routes: number;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** The URL that the proxy asks. */
  url: string;
}

/** What a gate would answer, and why. Nothing is logged as a use of the credential. */
export interface GateTest {
  /** Whether the request would come in. */
  allowed: boolean;
  /** The code of the refusal. */
  code?: string | null;
  /** What the service calls the one whom the token is for. */
  external_id?: string | null;
  /** The refusal, for people. */
  message?: string | null;
  /** What that route needs: `public`, `any`, or permissions joined by spaces. */
  needs?: string | null;
  /** Everything that keeps the request out, in the order of the decision. */
  obstacles?: GateObstacle[];
  /** `X-Hoody-Permissions`. */
  permissions?: string | null;
  /** The realm that the request is in. */
  realm_id?: Id | null;
  /** The pattern of the route that decides. */
  route?: string | null;
  /** The status of the answer. */
  status: number;
  /** The token's alias, before it is encoded for `X-Hoody-Token-Alias`. */
  token_alias?: string | null;
  /** `X-Hoody-Token-Id`. */
  token_id?: Id | null;
  /** `X-Hoody-User-Id`, if the request would come in with a credential. */
  user_id?: Id | null;
}

export type Id = string;

/** What a login answers to `response_mode: intent`: proof that it succeeded, to be turned into a code. */
export interface Intent {
  /** Goes as Bearer to `POST /auth/authorize`: once, within 60 seconds. */
  auth_intent_token: Secret;
  /** Who signed in. */
  user: User;
}

/** What the server sees of the caller (`GET /ip`). */
export interface IpInfo {
  /** As sent, without anything that signs in. */
  headers: Record<string, string>;
  /** The address that lists of addresses are compared with. */
  ip: string;
  /** Where the address is; `null` without a database of places. */
  ip_info?: Record<string, unknown> | null;
  /** Whether it carried a credential that holds. */
  is_logged: boolean;
  /** `http` or `https`. */
  protocol: string;
  /** As sent. */
  referer?: string | null;
  /** When the request was read. */
  timestamp: Timestamp;
  /** As sent. */
  user_agent?: string | null;
}

/** Addresses, in either form of the API's contract. */
export type IpWhitelist = string[] | string;

/** Asks for a session. One of `username` and `email` must be there. */
export interface Login {
  /** What is signing in, for the record: `web`, `cli`, `sdk`, `agent`, … */
  client?: string | undefined;
  /** For an intent: the challenge of whoever will have the session (RFC 7636, S256). */
  code_challenge?: string | undefined;
  /** Compared without regard to case. */
  email?: string | undefined;
  /** The password. */
  password: Secret;
  /** `tokens`, unless told otherwise, or `intent`: no session, but what [`Intent`] says. */
  response_mode?: string | undefined;
  /** Compared exactly. */
  username?: string | undefined;
}

/** An address that signed in, and when. */
export interface LoginAddress {
  /** The address. */
  ip: string;
  /** When it last signed in. */
  timestamp: Timestamp;
}

/** What signing in gives. */
export type LoginAnswer = 
  | (LoginData & { auth_intent_token?: never; method?: never; requires_2fa?: never; temp_token?: never; })
  | (Challenge & { auth_intent_token?: never; refreshToken?: never; token?: never; user?: never; })
  | (Intent & { method?: never; refreshToken?: never; requires_2fa?: never; temp_token?: never; token?: never; });

/** A new session. */
export interface LoginData {
  /** How many live tokens the account has. */
  auth_token_count?: number;
  /** The address that signed in. */
  client_ip?: string | null;
  /** Of the hosted service; always `null` here. */
  container?: Record<string, unknown> | null;
  /** When the access token ends. */
  expires_at?: Timestamp | null;
  /** In how many seconds that is. */
  expires_in?: number | null;
  /** The project to start in, if the server names one. */
  project?: LoginProject | null;
  /** The last five distinct addresses that did, newest first. */
  recent_login_ips?: LoginAddress[];
  /** Gets the next pair, once. */
  refreshToken: Secret;
  /** When the refresh token ends. */
  refresh_expires_at?: Timestamp | null;
  /** In how many seconds that is. */
  refresh_expires_in?: number | null;
  /** Of the hosted service; always `null` here. */
  server?: Record<string, unknown> | null;
  /** The access token: goes into `Authorization: Bearer`. */
  token: Secret;
  /** Whose session it is. */
  user: User;
}

/** The project that a session starts in. */
export interface LoginProject {
  /** Its name. */
  alias: string;
  /** Its id. */
  id: Id;
}

/** Asks for a mail: another verification, or a link to set a new password. */
export interface MailRequest {
  /** Whose. */
  email: string;
}

/** The caller's account (`GET /users/auth/me`), and the token that asks, if one does. */
export interface Me extends User {
  /** The calling token; absent for a session. */
  auth_token?: CurrentToken | null;
}

/** As much of an account as those who share a project with it may know. */
export interface MemberUser {
  /** The name to show. */
  alias: string;
  /** Its id. */
  id: Id;
  /** The name to sign in with. */
  username: string;
}

/** Memory of a container, in bytes. */
export interface MemoryStats {
  /** Its limit. */
  total: number;
  /** In use. */
  usage: number;
  /** In use, in percent of the limit. */
  usage_percent: number;
}

/** Where a page of a log stands. */
export interface PageMetadata {
  /** How many a page holds at most. */
  limit: number;
  /** This page, from 1. */
  page: number;
  /** How many pages there are; 0 when there is nothing. */
  pages: number;
  /** How many there are in all. */
  total: number;
}

/** Where a page stands in its list. */
export interface Pagination {
  /** How many a page holds at most. */
  limit: number;
  /** This page, from 1. */
  page: number;
  /** How many there are in all. */
  total: number;
  /** How many pages there are; 0 when there is nothing. */
  totalPages: number;
}

/** What a reset left: sessions are ended, and tokens go on unless they were to end. */
export interface PasswordReset {
  /** How many API tokens of the account still work. */
  active_tokens: number;
  /** How many were disabled now. */
  disabled_tokens: number;
}

/** A request that waits for somebody to sign in. */
export interface PendingDevice {
  /** The address that asked. */
  client_ip?: string | null;
  /** What asks, as it calls itself. */
  client_name?: string | null;
  /** Goes with the cookie that comes with this answer. */
  device_verify_ticket: Secret;
  /** For how many seconds still. */
  expires_in: number;
  /** When it asked. */
  requested_at?: string | null;
  /** Always `pending`. */
  status: string;
}

/** Which permissions there are. */
export interface PermissionCatalogue {
  /** The operator's permissions, and hoody's own that guard a route of this server. */
  permissions: PermissionInfo[];
  /** What `permission_template` takes. */
  templates: TemplateInfo[];
  /** Hoody's own permissions that guard no route of this server; with `?unused=true` alone. */
  unused?: PermissionInfo[] | null;
  /** Grows by one with each change of the operator's permissions. */
  version: number;
}

/** One permission. */
export interface PermissionInfo {
  /** What it is for. */
  description: string;
  /** Paths that it had before. They work for ever. */
  old_paths: string[];
  /** Who defines it. */
  origin: PermissionOrigin;
  /** Its dotted path. */
  path: string;
  /** Whether it can be granted. */
  state: PermissionState;
  /** Whether it lets its holder change something. */
  writes: boolean;
}

/** What another account may do with a project; each level includes those before it. */
export type PermissionLevel = 'read' | 'edit' | 'delete';

/** A page of those who may reach a project. */
export interface PermissionList {
  /** Where the page stands. */
  pagination: Pagination;
  /** The members of this page. */
  permissions: ProjectMember[];
}

/** Who defines a permission. */
export type PermissionOrigin = 'hoody' | 'operator';

/** Whether a permission can be granted. */
export type PermissionState = 'live' | 'retired';

/** A named set of permissions. */
export interface PermissionTemplate {
  /** What it is for. */
  description: string;
  /** What `permission_template` takes. */
  name: string;
  /** What it grants, as a tree of `true`. */
  permissions: Permissions;
}

/** How often a permission was needed. */
export interface PermissionUses {
  /** The permission's path. */
  permission: string;
  /** How often, whether it was held or not. */
  total: number;
}

/** Asks whether somebody has signed in. */
export interface PollDevice {
  /** What the challenge was made from, where one was given. */
  code_verifier?: Secret | undefined;
  /** The code to poll with. */
  device_code: Secret;
}

/** Either view of the caller's account. */
export type Profile = 
  | Me
  | (ReducedMe & { is_banned?: never; });

/** A project. */
export interface Project {
  /** Its name, unique in the account. */
  alias: string;
  /** `#` and three or six upper-case hex digits. */
  color: string;
  /** When it was made. */
  created_at: Timestamp;
  /** Its id. */
  id: Id;
  /** Whether it is the account's first project, which cannot be deleted. */
  is_default?: boolean;
  /** How many containers it may hold; `null` is no limit. */
  max_containers?: number | null;
  /** Who else may reach it; only with `include_permissions=true`. */
  permissions?: ProjectMember[] | null;
  /** Realms it belongs to. */
  realm_ids?: Id[];
  /** When it was last changed. */
  updated_at: Timestamp;
  /** Its owner. */
  user_id: Id;
}

/** A page of projects: the caller's own and those shared with it. */
export interface ProjectList {
  /** Where the page stands. */
  pagination: Pagination;
  /** The projects of this page. */
  projects: Project[];
}

/** Another account's access to a project. */
export interface ProjectMember {
  /** When it was given. */
  created_at: Timestamp;
  /** The access's own id. */
  id: Id;
  /** What it may do. */
  permission_level: PermissionLevel;
  /** The project. */
  project_id: Id;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** Who that is. */
  user?: MemberUser | null;
  /** The account. */
  user_id: Id;
}

/** What runs in a project. */
export interface ProjectStats {
  /** One object a container. */
  stats: Record<string, unknown>[];
  /** All of them together. */
  summary: ProjectSummary;
}

/** All of a project's containers together. */
export interface ProjectSummary {
  /** How many containers it has. */
  container_count: number;
  /** The project. */
  project_id: Id;
  /** Its name. */
  project_name: string;
  /** How long gathering this took, in milliseconds. */
  total_processing_time: number;
}

/** Whether terminals answer without a credential. */
export interface ProxyDefault {
  /** `allow` opens the terminals to everyone who has their URLs; `deny` asks for a credential. */
  default: string;
}

/** A key to verify with. */
export interface PublicKey {
  /** `ed25519`. */
  algorithm: string;
  /** Its id. */
  kid: string;
  /** The same in Base64. */
  public_key_b64: string;
  /** The same in base64url without padding. */
  public_key_b64url: string;
  /** 64 lowercase hex digits. */
  public_key_hex: string;
}

/** The keys that others verify signatures of this server with. */
export interface PublicKeys {
  /** The id of the one that signs now. */
  active_kid: string;
  /** The keys, the one that signs now first. During a rotation of the master key there are several. */
  keys: PublicKey[];
  /** How. */
  signing_format: SigningFormat;
  /** What they sign: `gate-identity`. */
  usage: string[];
}

/** What anyone signed in may know of a token by its public key. */
export interface PublicProfile {
  /** The key that was asked for: 64 lowercase hex digits. */
  public_key: string;
  /** What the token's owner published. */
  public_storage?: Record<string, unknown> | null;
}

/** Adds a realm to a token's list or takes it away. */
export interface RealmChange {
  /** A code of the second factor. */
  otp_code?: Secret | undefined;
  /** The realm. */
  realm_id: Id;
}

/** The realms that anything of the account carries. */
export interface RealmList {
  /** Each once. */
  realm_ids: Id[];
  /** How many. */
  total: number;
  /** What carries them; only with `include_usage=true`. */
  usage?: Record<string, RealmUsage> | null;
}

/** How many things carry a realm. */
export interface RealmUsage {
  /** Tokens. */
  auth_tokens: number;
  /** Containers. */
  containers: number;
  /** Projects. */
  projects: number;
  /** Servers. */
  servers: number;
}

/** The caller's account, as a token without `resources.read_account` sees it. */
export interface ReducedMe extends ReducedUser {
  /** The calling token. */
  auth_token?: CurrentToken | null;
}

/** An account, as a token without `resources.read_account` sees it. */
export interface ReducedUser {
  /** The name to show. */
  alias: string;
  /** When it was made. */
  created_at: Timestamp;
  /** Its id. */
  id: Id;
  /** Ed25519 key: 64 hex digits. */
  public_key?: string | null;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** The name to sign in with. */
  username: string;
}

/** Asks for the next pair of a session. */
export interface Refresh {
  /** The refresh token of the current pair. */
  refreshToken: Secret | undefined;
}

/** The next pair of a session. */
export interface RefreshData {
  /** When the access token ends. */
  expires_at?: Timestamp | null;
  /** In how many seconds that is. */
  expires_in?: number | null;
  /** Gets the next pair, once. */
  refreshToken: Secret;
  /** When the refresh token ends. */
  refresh_expires_at?: Timestamp | null;
  /** In how many seconds that is. */
  refresh_expires_in?: number | null;
  /** The access token: goes into `Authorization: Bearer`. */
  token: Secret;
}

/** Replaces the backup codes. */
export interface RegenerateBackupCodes {
  /** Six digits; a backup code does not do. */
  code: Secret;
  /** The account's password. */
  password: Secret;
}

/** A region of the hosted service. */
export interface Region {
  /** Whether there is room. */
  available: boolean;
  /** The city it is in. */
  city: string;
  /** The country it is in. */
  country: string;
  /** Its name. */
  region: string;
}

/** Where an account can be; a self-hosted server has no regions. */
export interface Regions {
  /** Always empty here. */
  regions: Region[];
}

/** Sets a new password with the token of a mail. */
export interface ResetPassword {
  /** Whether to disable every API token of the account as well: whoever knew the old password may have made some. */
  end_tokens?: boolean | undefined;
  /** The new password. */
  password: Secret;
  /** From the mail. */
  token: Secret;
}

/** A container that was restored. */
export interface RestoredSnapshot {
  /** The result in a sentence. */
  message: string;
  /** The snapshot. */
  snapshot: Snapshot;
  /** Whether the container runs from the snapshot. */
  success: boolean;
}

/** Where the calling token may be used. */
export interface Restrictions {
  /** The realm of this request's host. */
  active_realm_id?: Id | null;
  /** As stored. */
  allow_no_realm: boolean;
  /** Its list of realms; empty is no list. */
  allowed_realm_ids: Id[];
  /** What it may really do, where tokens that it descends from bound it. Absent for a token that a session made. */
  effective?: EffectiveLimits | null;
  /** It has a list of realms, or may not be used without one. */
  has_realm_restrictions: boolean;
  /** How deep tokens may make tokens on this server. */
  max_delegation_depth?: number;
  /** It must be used on a realm host. */
  requires_realm_scope: boolean;
}

export type Secret = string;

/** One thing that happened to an account. */
export interface SecurityEvent {
  /** What the client called itself: `web`, `cli`, …; `null` where it did not say. */
  client?: string | null;
  /** Always `null`: this server does not look addresses up. */
  country?: string | null;
  /** When. */
  created_at: Timestamp;
  /** `login`, `logout`, `login_failed`, `otp_verify_failed`, `password_failed`, `password_changed`, `otp_enabled`, `otp_disabled`, `otp_reset`, `otp_gate_changed`, `backup_codes_regenerated`, `device_approved`, `session_replayed`. There may be more at any time. */
  event: string;
  /** Its id. */
  id: string;
  /** From where; `null`: the operator, at the machine. */
  ip_address?: string | null;
  /** `success` or `failed`. */
  outcome: string;
}

/** A page of the history: the whole answer, since `metadata` stands beside `data`. */
export interface SecurityHistoryEnvelope {
  /** The latest first. */
  data: SecurityEvent[];
  /** What was done, for people. */
  message: string;
  /** Which page it is. */
  metadata: PageMetadata;
  /** The HTTP status, again. */
  statusCode: number;
}

/** Asks for a new secret. */
export interface SetUpTwoFactor {
  /** The account's password. */
  password: Secret;
}

/** The value of one variable. */
export interface SetVariable {
  /** At most 32,768 bytes, without CR, LF and NUL. */
  value: string;
}

/** What `PUT /vault/keys/{key}` takes. */
export interface SetVaultKey {
  /** Left out, it stays as it is; `null` takes it away. */
  metadata?: Record<string, unknown> | null | undefined;
  /** Any text. */
  value: Secret;
}

/** Asks for an account. */
export interface SignUp {
  /** What is signing up, for the record. */
  client?: string | null | undefined;
  /** Where the verification mail goes. */
  email: string;
  /** An invitation, where the server asks for one. */
  invite_code?: Secret | null | undefined;
  /** The password to sign in with. */
  password: Secret;
  /** Of the hosted service; this server has no regions. */
  region?: string | null | undefined;
}

/** What signing up says, whether or not the address has an account. */
export interface SignedUp {
  /** The address, as it was given. */
  email: string;
}

/** What is signed, and how. */
export interface SigningFormat {
  /** The header `X-Hoody-Identity` of a gate's answer. */
  gate_identity: string;
  /** For how many seconds it is valid. */
  gate_identity_seconds: number;
}

/** A saved state of a container's file system. */
export interface Snapshot {
  /** A name for people. */
  alias?: string | null;
  /** When it was made. */
  created_at: Timestamp;
  /** When it is deleted. */
  expires_at?: Timestamp | null;
  /** When a container was last restored from it. */
  last_used_at?: Timestamp | null;
  /** The generated name: the one that routes take. */
  name: string;
  /** Its size in bytes, with the layers it shares; null while that is not known. */
  size?: number | null;
  /** Always false: processes and memory are not saved. */
  stateful: boolean;
}

/** Renames a snapshot. */
export interface SnapshotAlias {
  /** The new name for people, or `null`. */
  alias?: string | null | undefined;
}

/** The snapshots of a container. */
export interface SnapshotList {
  /** The container. */
  container_id: Id;
  /** How many it may have. */
  max_snapshots?: number | null;
  /** Its project. */
  project_id: Id;
  /** How many snapshots it has. */
  snapshot_count: number;
  /** The snapshots, the newest first. */
  snapshots: Snapshot[];
}

/** Asks for a code that somebody can approve on another device. */
export interface StartDevice {
  /** What is signing in, for the record. */
  client?: string | undefined;
  /** What the person is told is asking. */
  client_name?: string | undefined;
  /** With it, only whoever has its verifier gets the session (S256). */
  code_challenge?: string | undefined;
}

/** One template. */
export interface TemplateInfo {
  /** What it is for. */
  description: string;
  /** What `permission_template` takes. */
  name: string;
  /** Who defines it. */
  origin: PermissionOrigin;
  /** The paths that it grants. */
  permissions: string[];
}

/** A request to try at a gate. */
export interface TestGate {
  /** Where the client is; where this request comes from unless told. */
  address?: string | undefined;
  /** The token or session that it carries; none unless told. */
  credential?: Secret | undefined;
  /** Its host, without port; the gate's first unless told. */
  host?: string | undefined;
  /** Its method. */
  method: string;
  /** Its path as the client sends it, with or without a query. */
  path: string;
}

export type Timestamp = string;

/** Whether sessions need a code to make and change tokens. */
export interface TokenGate {
  /** On or off. */
  enabled: boolean;
  /** Six digits, or a backup code: to turn it off. */
  otp_code?: Secret | undefined;
  /** The account's password: to turn it off. */
  password?: Secret | undefined;
}

/** How the gate stands. */
export interface TokenGateState {
  /** Whether sessions need a code to make and change tokens. */
  require_for_tokens: boolean;
}

/** All tokens of the account, or those that the caller may see. */
export interface TokenListEnvelope {
  /** The tokens, newest first. */
  data: AuthToken[];
  /** What was done, for people. */
  message: string;
  /** The HTTP status, again. */
  statusCode: number;
  /** The caller may not see all of the account's tokens, so some are left out. Absent is no. */
  truncated?: boolean;
}

/** What a token did. Numbers are of the last `days` days, but when it was seen is of the whole log. */
export interface TokenUsage {
  /** Requests by address, the most first, at most 20 of them. */
  by_address: AddressUses[];
  /** The days on which it was used. */
  by_day: UsesInTime[];
  /** The last 48 hours in which it was used. */
  by_hour: UsesInTime[];
  /** Requests by the permission that they needed, the most first. What is not here it did not use. */
  by_permission: PermissionUses[];
  /** Requests by HTTP status. */
  by_status: Record<string, number>;
  /** How many days the numbers are of; today is one. */
  days: number;
  /** Those that were answered with 400 or more. */
  errors: number;
  /** The first request in the log. */
  first_seen?: Timestamp | null;
  /** The last request in the log, allowed or refused. */
  last_seen?: Timestamp | null;
  /** Requests from other addresses. Of each hour, 32 addresses are told apart. */
  other_addresses: number;
  /** The token. */
  token_id: Id;
  /** All requests. */
  total: number;
}

/** A new secret, not in force until a code of it is shown. */
export interface TwoFactorSetup {
  /** Each is good once in place of a code. */
  backup_codes: Secret[];
  /** The secret for typing: base32. */
  manual_entry_key: Secret;
  /** What the picture says. */
  otpauth_uri?: Secret | null;
  /** A picture for the app to scan: a PNG as a data URI. */
  qr_code: Secret;
}

/** How the second factor stands. */
export interface TwoFactorStatus {
  /** How many backup codes are left. */
  backup_codes_remaining: number;
  /** Whether it is on. */
  enabled: boolean;
  /** Since when. */
  enabled_at?: Timestamp | null;
  /** Whether sessions need a code to make and change tokens. */
  require_for_tokens: boolean;
  /** Whether a code of it was shown: the same, because it is on from then. */
  verified: boolean;
}

/** What to change of a kind; what is left out stays. */
export interface UpdateAlertSetting {
  /** Of `token_unused`: whether such tokens are disabled. */
  disables?: boolean | undefined;
  /** Whether there are alerts of it. */
  is_enabled?: boolean | undefined;
  /** Whether a mail tells of it. */
  mail?: boolean | undefined;
  /** Until when it is muted; `null` ends that. */
  muted_until?: string | null | undefined;
  /** From when on. */
  threshold?: number | undefined;
  /** Whether webhooks tell of it. */
  webhook?: boolean | undefined;
}

/** Changes a container. Fields that are left out keep their values. */
export interface UpdateContainer {
  /** Stored and returned, without effect. */
  ai?: boolean | undefined;
  /** Whether hoody starts it again when it ends by itself. */
  autostart?: boolean | undefined;
  /** Three or six hex digits, with or without `#`. */
  color?: string | undefined;
  /** A note for people. */
  comment?: string | null | undefined;
  /** The whole environment. */
  environment_vars?: Record<string, string> | undefined;
  /** Its new name. */
  name?: string | undefined;
  /** Stored and returned, without effect. */
  ramdisk?: boolean | undefined;
  /** `container` or `project`. */
  ramdisk_scope?: string | undefined;
  /** The whole list of realms. */
  realm_ids?: Id[] | undefined;
  /** Stored and returned, without effect; unique. */
  ssh_public_key?: string | null | undefined;
}

/** Changes what another account may do with a project. */
export interface UpdateMember {
  /** What it may do from now on. */
  permission_level: PermissionLevel;
}

/** Changes the calling token's public profile. At least one of the two must be there. */
export interface UpdateProfile {
  /** Ed25519 key; `null` clears it. */
  public_key?: string | null | undefined;
  /** What the profile holds; `null` clears it. */
  public_storage?: Record<string, unknown> | null | undefined;
}

/** Changes a project. What is left out stays as it is. */
export interface UpdateProject {
  /** Its new name. */
  alias?: string | undefined;
  /** Three or six hex digits, with or without `#`. */
  color?: string | undefined;
  /** How many containers it may hold; `null` is no limit. */
  max_containers?: number | null | undefined;
  /** The whole list of realms. */
  realm_ids?: Id[] | undefined;
}

/** Changes a token. What is left out stays as it is. */
export interface UpdateToken {
  /** Its new name. */
  alias?: string | undefined;
  /** Whether it may be used on the base host. */
  allow_no_realm?: boolean | undefined;
  /** What it is for, for people. `null` is none. */
  description?: string | null | undefined;
  /** Whether it may reach the event stream. */
  event_access?: boolean | undefined;
  /** When it ends; `null` is never. */
  expires_at?: ExpiresAt | null | undefined;
  /** What your service calls whom the token is for: at most 255 characters, not unique. `null` is none. */
  external_id?: string | null | undefined;
  /** Addresses it may be used from. */
  ip_whitelist?: IpWhitelist | undefined;
  /** Whether it can be used. */
  is_enabled?: boolean | undefined;
  /** What your service stores with it: at most 4,096 bytes as JSON, never public. `null` is none. */
  meta?: Record<string, unknown> | null | undefined;
  /** A code of the second factor. */
  otp_code?: Secret | undefined;
  /** The whole tree; what is left out of it is taken away. */
  permissions?: Permissions | undefined;
  /** Ed25519 key; `null` clears it. */
  public_key?: string | null | undefined;
  /** What its public profile holds; `null` clears it. */
  public_storage?: Record<string, unknown> | null | undefined;
  /** The whole list of realms. */
  realm_ids?: Id[] | undefined;
  /** Words to find it by. */
  tags?: string[] | undefined;
  /** Whether it may reach the vault. */
  vault_access?: boolean | undefined;
}

/** Changes an account. What is left out stays as it is. */
export interface UpdateUser {
  /** The name to show. */
  alias?: string | undefined;
  /** The password that is in force. */
  current_password?: Secret | undefined;
  /** Whatever the account keeps with itself; `null` clears it. */
  metadata?: Record<string, unknown> | null | undefined;
  /** A new password; needs `current_password`. */
  password?: Secret | undefined;
  /** Ed25519 key; `null` clears it. */
  public_key?: string | null | undefined;
}

/** What to change of an endpoint; what is left out stays. */
export interface UpdateWebhook {
  /** What it is for. */
  description?: string | undefined;
  /** Which events it gets. */
  event_types?: string[] | undefined;
  /** Whether anything is sent to it. */
  is_enabled?: boolean | undefined;
  /** Of which realms. */
  realm_ids?: Id[] | undefined;
  /** Where it is. */
  url?: string | undefined;
}

/** An account, as its owner sees it. */
export interface User {
  /** The name to show. */
  alias: string;
  /** Where its picture is. */
  avatar_url?: string | null;
  /** When it was made. */
  created_at: Timestamp;
  /** The address to sign in with. */
  email?: string | null;
  /** Whether the address is known to be the owner's. */
  email_verified?: boolean;
  /** Of the hosted service; always `null` here. */
  free_tier_unlock_source?: string | null;
  /** Of the hosted service; always `false` here. */
  free_tier_unlocked?: boolean;
  /** Of the hosted service; always `null` here. */
  free_tier_unlocked_at?: Timestamp | null;
  /** Its id. */
  id: Id;
  /** Whether the account is shut out. */
  is_banned: boolean;
  /** Whatever the account keeps with itself. */
  metadata?: Record<string, unknown> | null;
  /** Milestones and when they were first reached. */
  onboarding?: Record<string, Timestamp>;
  /** Ed25519 key: 64 hex digits. */
  public_key?: string | null;
  /** How it came to be: `email`, `github`, `google`, or `null`: made by the operator. */
  signup_method?: string | null;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** The name to sign in with. */
  username: string;
}

/** What a user code is for. */
export type UserCodeAnswer = 
  | PendingDevice
  | (DeviceStatus & { device_verify_ticket?: never; expires_in?: never; });

/** Either view of an account (`GET /users/{id}`). */
export type UserProfile = 
  | User
  | (ReducedUser & { is_banned?: never; });

/** Requests in an hour or on a day (UTC). */
export interface UsesInTime {
  /** Those that were answered with 400 or more. */
  errors: number;
  /** When it begins. */
  start: Timestamp;
  /** All requests. */
  total: number;
}

/** What `DELETE /vault` did. */
export interface VaultCleared {
  /** How many keys there were. */
  deleted_count: number;
}

/** A key of the vault, without its value. */
export interface VaultKey {
  /** When it was made. */
  created_at: Timestamp;
  /** Its name, unique in the account and realm. */
  key: string;
  /** Whatever belongs to it and is no secret. */
  metadata?: Record<string, unknown> | null;
  /** The realm that it is in; on the wire the empty string where it is in none. */
  realm_id: string;
  /** What it takes of the limit: value and metadata. */
  size_bytes: number;
  /** When it was last set. */
  updated_at: Timestamp;
}

/** A key of the vault with its value. */
export interface VaultRecord {
  /** When it was made. */
  created_at: Timestamp;
  /** Its name, unique in the account and realm. */
  key: string;
  /** Whatever belongs to it and is no secret. */
  metadata?: Record<string, unknown> | null;
  /** The realm that it is in; on the wire the empty string where it is in none. */
  realm_id: string;
  /** What it takes of the limit: value and metadata. */
  size_bytes: number;
  /** When it was last set. */
  updated_at: Timestamp;
  /** The value, as it was set. */
  value: Secret;
}

/** How full the vault is. */
export interface VaultStats {
  /** What all realms together may take, in MiB. */
  limit_mb: number;
  /** What is left for all of them, in MiB. */
  remaining_mb: number;
  /** How many keys there are in this realm. */
  total_keys: number;
  /** What they take. */
  total_size_bytes: number;
  /** The same in MiB. */
  total_size_mb: number;
  /** How much of that they do. */
  used_percentage: number;
}

/** What became of one credential. */
export interface Verified {
  /** Its account. */
  account_id?: Id | null;
  /** Its name. */
  alias?: string | null;
  /** Whether it may. */
  allowed: boolean;
  /** Why not: `NOT_FOUND` for one that is unknown, deleted or another account's. */
  code?: string | null;
  /** When it ends. */
  expires_at?: Timestamp | null;
  /** What your service calls whom it is for. */
  external_id?: string | null;
  /** The refusal, for people. */
  message?: string | null;
  /** What your service stored with it. */
  meta?: Record<string, unknown> | null;
  /** The permissions that it holds. */
  permissions?: string[] | null;
  /** The realms that it is bound to. */
  realm_ids?: Id[] | null;
  /** What the question named it by. */
  ref?: string | null;
  /** The token. This and the rest are absent with `NOT_FOUND` and `UNAVAILABLE`. */
  token_id?: Id | null;
}

/** Credentials to verify: 1 to 1,000. */
export interface Verify {
  /** The credentials, each with what it is needed for. */
  credentials: VerifyItem[];
  /** Note no use and log nothing; no unless told. */
  dry?: boolean | undefined;
}

/** What the second factor gives. */
export type VerifyAnswer = 
  | (LoginData & { auth_intent_token?: never; status?: never; })
  | (Intent & { refreshToken?: never; status?: never; token?: never; })
  | (DeviceStatus & { auth_intent_token?: never; refreshToken?: never; token?: never; user?: never; });

/** Shows the token of a verification mail. */
export interface VerifyEmail {
  /** What is signing in, for the record. */
  client?: string | null | undefined;
  /** For an intent: the challenge of whoever will have the session (RFC 7636, S256). */
  code_challenge?: string | null | undefined;
  /** The password of the sign-up that the mail belongs to. Without it the address is verified, nobody is signed in, and the passwords set before are void: the owner of the address may not know them. */
  password?: Secret | undefined;
  /** As on login: `tokens`, or `intent`. */
  response_mode?: string | undefined;
  /** From the mail. */
  token: Secret;
}

/** One credential to verify. */
export interface VerifyItem {
  /** Where the client is. Without it a token that is bound to addresses is refused. */
  address?: string | undefined;
  /** Permissions that are all needed. */
  all_of?: string[] | undefined;
  /** Permissions of which one is needed. */
  any_of?: string[] | undefined;
  /** The token as the client sent it, without a scheme. */
  credential: Secret;
  /** The client's method, for the request log. */
  method?: string | undefined;
  /** The permission that is needed; at most one of this, `any_of` and `all_of`. */
  permission?: string | undefined;
  /** The realm that is asked in; none unless told. */
  realm_id?: Id | undefined;
  /** What the answer names it by, at most 255 characters. */
  ref?: string | undefined;
  /** The pattern of the route that was asked, for the request log; never a path with secrets in it. */
  route?: string | undefined;
}

/** Gets a session for a code: the second half of signing in. */
export interface VerifyTwoFactor {
  /** What is signing in, for the record. */
  client?: string | undefined;
  /** Six digits of the app, or a backup code. */
  code: Secret;
  /** `tokens` or `intent`; left out, it is what the login said. */
  response_mode?: string | undefined;
  /** What the login gave; may be sent as Bearer instead. */
  temp_token?: Secret | undefined;
}

/** Asks what a user code is for. */
export interface VerifyUserCode {
  /** As it was typed: case and hyphen do not count. */
  user_code: string;
}

/** An endpoint that events are sent to. */
export interface Webhook {
  /** When it was made. */
  created_at: Timestamp;
  /** What it is for. */
  description: string;
  /** Why the server switched it off, if it did. */
  disabled_reason?: string | null;
  /** Which events it gets: types, or families like `auth.token.*`; empty is all. */
  event_types?: string[];
  /** Since when nothing arrives, if nothing does. */
  failing_since?: Timestamp | null;
  /** Its id. */
  id: Id;
  /** Whether anything is sent to it. */
  is_enabled: boolean;
  /** Until when messages carry a signature with the secret before the last rotation, too. */
  previous_secret_until?: Timestamp | null;
  /** Of which realms; empty is all, and what is in none. */
  realm_ids?: Id[];
  /** `whsec_…`: shown once, when it is made or rotated. */
  secret?: Secret | null;
  /** When it was last changed. */
  updated_at: Timestamp;
  /** Where it is. */
  url: string;
}

/** An event on its way to an endpoint, or there. */
export interface WebhookDelivery {
  /** The beginning of what was answered. */
  answer?: string | null;
  /** How often it was sent. */
  attempts: number;
  /** When it was put on its way. */
  created_at: Timestamp;
  /** How long that took. */
  duration_ms?: number | null;
  /** Why it was not taken. */
  error?: string | null;
  /** The event; the header `webhook-id` names it. */
  event_id: Id;
  /** What happened. */
  event_type: string;
  /** Its id. */
  id: Id;
  /** When it was last sent. */
  last_attempt_at?: Timestamp | null;
  /** When it is sent next, if it waits. */
  next_attempt_at?: Timestamp | null;
  /** `waiting`, `delivered` or `failed`. */
  state: string;
  /** The status that was answered then. */
  status?: number | null;
  /** The endpoint. */
  webhook_id: Id;
}

/** Query of `authTokens.list`. */
export interface AuthTokensListQuery {
  /** Only those with this external id */
  external_id?: string | undefined;
  /** Only those with this tag */
  tag?: string | undefined;
  /** `any`, `active`, `disabled` or `expired`; any unless told */
  state?: string | undefined;
}

/** Query of `authTokens.usage`. */
export interface AuthTokensUsageQuery {
  /** 1 to 365, 30 unless told; today is one */
  days?: number | undefined;
}

/** Query of `permissions.list`. */
export interface PermissionsListQuery {
  /** With hoody's own permissions that guard no route here */
  unused?: boolean | undefined;
}

/** Query of `realms.list`. */
export interface RealmsListQuery {
  /** With what carries each */
  include_usage?: boolean | undefined;
}

/** Query of `projects.list`. */
export interface ProjectsListQuery {
  page?: number | undefined;
  /** At most 100; 10 unless told */
  limit?: number | undefined;
  /** created_at, id, alias or updated_at */
  sort_by?: string | undefined;
  /** desc or asc */
  sort_order?: string | undefined;
  /** Only those in this realm */
  realm_id?: Id | undefined;
}

/** Query of `projects.get`. */
export interface ProjectsGetQuery {
  /** With those it is shared with */
  include_permissions?: boolean | undefined;
}

/** Query of `projects.delete`. */
export interface ProjectsDeleteQuery {
  /** With a list of what went with it */
  include_deleted_items?: boolean | undefined;
}

/** Query of `projects.listPermissions`. */
export interface ProjectsListPermissionsQuery {
  page?: number | undefined;
  /** At most 100; 10 unless told */
  limit?: number | undefined;
  /** created_at, id, user_id, permission_level, updated_at */
  sort_by?: string | undefined;
  /** desc or asc */
  sort_order?: string | undefined;
}

/** Query of `containers.list`. */
export interface ContainersListQuery {
  page?: number | undefined;
  /** At most 100; 50 when left out */
  limit?: number | undefined;
  /** created_at, id, name, status or updated_at */
  sort_by?: string | undefined;
  /** desc or asc */
  sort_order?: string | undefined;
  /** Only those in this realm */
  realm_id?: Id | undefined;
  /** Also those that are about to be removed */
  include_deleting?: boolean | undefined;
  /** Without effect */
  include_expired?: boolean | undefined;
  /** Without effect */
  include_prespawn?: boolean | undefined;
  /** Without effect */
  include_proxy_domains?: boolean | undefined;
  /** Without effect */
  include_proxy_permissions?: boolean | undefined;
  /** Without effect */
  runtime?: string | undefined;
}

/** Query of `containers.listByProject`. */
export interface ContainersListByProjectQuery {
  page?: number | undefined;
  /** At most 100; 50 when left out */
  limit?: number | undefined;
  /** created_at, id, name, status or updated_at */
  sort_by?: string | undefined;
  /** desc or asc */
  sort_order?: string | undefined;
  /** Also those that are about to be removed */
  include_deleting?: boolean | undefined;
  /** Without effect */
  include_prespawn?: boolean | undefined;
  /** Without effect */
  include_proxy_domains?: boolean | undefined;
  /** Without effect */
  include_proxy_permissions?: boolean | undefined;
  /** Without effect */
  runtime?: string | undefined;
}

/** Query of `containers.get`. */
export interface ContainersGetQuery {
  /** Without effect */
  include_proxy_domains?: boolean | undefined;
  /** Without effect */
  include_proxy_permissions?: boolean | undefined;
  /** Without effect */
  runtime?: string | undefined;
}

/** Query of `vault.getStats`. */
export interface VaultGetStatsQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `vault.list`. */
export interface VaultListQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `vault.get`. */
export interface VaultGetQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `vault.set`. */
export interface VaultSetQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `vault.delete`. */
export interface VaultDeleteQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `vault.clear`. */
export interface VaultClearQuery {
  /** The realm; unless told the host's, or none */
  realm_id?: Id | undefined;
}

/** Query of `events.list`. */
export interface EventsListQuery {
  /** At most 500; 100 unless told */
  limit?: number | undefined;
  /** How many to skip */
  offset?: number | undefined;
  /** created_at or event_type */
  sort_by?: string | undefined;
  /** desc or asc */
  sort_order?: string | undefined;
  /** e.g. auth.token.created */
  event_type?: string | undefined;
  /** e.g. auth_token */
  resource_type?: string | undefined;
  resource_id?: Id | undefined;
  project_id?: Id | undefined;
  /** There are none: an empty list */
  container_id?: Id | undefined;
  /** ISO 8601 */
  start_date?: string | undefined;
  /** ISO 8601, included; a day without a time is the whole of it */
  end_date?: string | undefined;
  /** Only those in this realm */
  realm_id?: Id | undefined;
  /** A cursor: what happened after it, the oldest first */
  after?: string | undefined;
  /** No events: a cursor to begin with */
  bootstrap?: boolean | undefined;
}

/** Query of `events.getStats`. */
export interface EventsGetStatsQuery {
  /** ISO 8601 */
  start_date?: string | undefined;
  /** ISO 8601, included; a day without a time is the whole of it */
  end_date?: string | undefined;
  /** Only those in this realm */
  realm_id?: Id | undefined;
}

/** Query of `activity.list`. */
export interface ActivityListQuery {
  /** From 1; rows are reached up to the 10,000th, those of requests that read this log left out */
  page?: number | undefined;
  /** The id of a row: those that come after it in the list, reads of this log included; ffffffffffffffffffffffff begins with the latest. Not together with page */
  before?: Id | undefined;
  /** 1 to 200, 50 unless told */
  limit?: number | undefined;
  /** ISO 8601 */
  start_date?: string | undefined;
  /** ISO 8601, included; a day without a time is the whole of it */
  end_date?: string | undefined;
  /** Only status 400 and above */
  errors_only?: boolean | undefined;
  /** 100 to 599 */
  min_status?: number | undefined;
  /** 100 to 599 */
  max_status?: number | undefined;
  /** GET, POST, PUT, PATCH or DELETE */
  method?: string | undefined;
  /** Only this realm; on a realm's host, that one */
  realm_id?: Id | undefined;
}

/** Query of `users.getSecurityHistory`. */
export interface UsersGetSecurityHistoryQuery {
  /** From 1 to 10000 */
  page?: number | undefined;
  /** At most 100; 50 unless told */
  limit?: number | undefined;
  /** Also what failed: wrong passwords and codes */
  include_failed?: boolean | undefined;
  /** Also what was done to password and second factor */
  include_security?: boolean | undefined;
}

/** Query of `alerts.list`. */
export interface AlertsListQuery {
  /** From 1 */
  page?: number | undefined;
  /** 1 to 200, 50 unless told */
  limit?: number | undefined;
  /** Only this kind */
  kind?: string | undefined;
  /** open, acknowledged or dismissed; all unless told */
  state?: string | undefined;
  /** Only what is about this token, webhook or account */
  subject_id?: string | undefined;
  /** ISO 8601, of when it happened last */
  start_date?: string | undefined;
  /** ISO 8601, included; a day without a time is the whole of it */
  end_date?: string | undefined;
  /** Only about tokens of this realm; on a realm's host, that one */
  realm_id?: Id | undefined;
}

/** Query of `webhooks.listDeliveries`. */
export interface WebhooksListDeliveriesQuery {
  /** waiting, delivered or failed */
  state?: string | undefined;
  /** At most 500; 50 unless told */
  limit?: number | undefined;
  /** From 1; one that is not full is the last */
  page?: number | undefined;
}
