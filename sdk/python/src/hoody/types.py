"""What callers send and what the server answers.

Written by sdk/emit from openapi.json and sdk/names.json. Do not edit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, TypedDict, Union

from ._secret import Secret


class PermissionsContainersActions(TypedDict, total=False):
    start: bool
    stop: bool
    restart: bool
    exec: bool
    logs: bool


class PermissionsContainersFeatures(TypedDict, total=False):
    ai: bool
    hoody_kit: bool
    snapshots: bool
    networking: bool
    kvm: bool


class PermissionsContainers(TypedDict, total=False):
    create: bool
    read: bool
    update: bool
    delete: bool
    actions: PermissionsContainersActions
    features: PermissionsContainersFeatures


class PermissionsProjectsMembers(TypedDict, total=False):
    invite: bool
    remove: bool
    change_roles: bool


class PermissionsProjects(TypedDict, total=False):
    create: bool
    read: bool
    update: bool
    delete: bool
    members: PermissionsProjectsMembers


class PermissionsFinancialWallet(TypedDict, total=False):
    read: bool
    transfer: bool
    withdraw: bool


class PermissionsFinancialBilling(TypedDict, total=False):
    read: bool
    manage_payment_methods: bool
    download_invoices: bool


class PermissionsFinancialServerRental(TypedDict, total=False):
    view_marketplace: bool
    rent_servers: bool
    extend_rentals: bool
    terminate_rentals: bool


class PermissionsFinancialSubscriptions(TypedDict, total=False):
    purchase: bool


class PermissionsFinancial(TypedDict, total=False):
    wallet: PermissionsFinancialWallet
    billing: PermissionsFinancialBilling
    server_rental: PermissionsFinancialServerRental
    subscriptions: PermissionsFinancialSubscriptions


class PermissionsResources(TypedDict, total=False):
    vault: bool
    events: bool
    ssh_keys: bool
    storage_shares: bool
    proxy_aliases: bool
    firewalls: bool
    realms: bool
    auth_token_public_profile: bool
    create_tokens: bool
    gates: bool
    introspect: bool
    guard: bool
    read_account: bool


class PermissionsAdmin(TypedDict, total=False):
    users: bool
    servers: bool
    system: bool
    billing: bool
    monitoring: bool


class Permissions(TypedDict, total=False):
    """A tree of permissions: `True` grants a leaf, a leaf left out is not granted. For leaves of your own,
    subclass it.
    """
    containers: PermissionsContainers
    projects: PermissionsProjects
    financial: PermissionsFinancial
    resources: PermissionsResources
    admin: PermissionsAdmin


@dataclass(slots=True, frozen=True, kw_only=True)
class ActivityPage:
    """A page of the request log."""

    data: Sequence[ActivityRow]
    """The rows, the latest first."""
    message: str
    """What was done, for people."""
    metadata: PageMetadata
    """Where the page stands."""
    status_code: int = field(metadata={"wire": "statusCode"})
    """The HTTP status, again."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ActivityRow:
    """One request of the account. Fields after `user_agent` up to `created_at` are this server's own."""

    created_at: datetime
    """When it was answered."""
    id: str
    """Its id."""
    ip_address: str
    """Where it came from."""
    method: str
    """The method; `OTHER` for one that is no route's. At a gate it is that of the client's request."""
    path: str
    """The path, without the query; `[redacted]` stands for a part that looks like a credential. At a gate it is
    the route's pattern, or the client's path if the gate logs paths; empty if no route matched.
    """
    status_code: int
    """The status of the answer; 499 when the client left before it."""
    user_id: str
    """The account."""
    deny_reason: str | None = None
    """The rule that refused it, e.g. `expired`, `address`, `permission`; `credentials` for a failed login."""
    duration_us: int | None = None
    """How long it took, in microseconds."""
    gate_id: str | None = None
    """The gate that decided; absent if the proxy's URL named the permission itself."""
    host: str | None = None
    """The host of the client's request, if a proxy asked about one."""
    permission: str | None = None
    """The permission that it needed."""
    realm_id: str | None = None
    """The realm that the host named."""
    session_id: str | None = None
    """The session that asked."""
    token_id: str | None = None
    """The token that asked."""
    user_agent: str | None = None
    """What the client calls itself."""
    via: str | None = None
    """`gate`, `ext_authz`, `verify` or `introspect` if it was asked about a request to another service; absent
    for a request to this API.
    """
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ActivityStats:
    """How much there is in the request log."""

    retention_days: int
    """After how many days a row is dropped."""
    total_records: int
    """How many rows there are."""
    total_size_bytes: int
    """What the rows take, packed as they are stored."""
    newest_record: datetime | None = None
    """The instant of the newest."""
    oldest_record: datetime | None = None
    """The instant of the oldest."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AddressUses:
    """How often an address came."""

    ip_address: str
    """The address."""
    total: int
    """How often."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Alert:
    """Something that the account should know."""

    count: int
    """How often it happened."""
    details: Mapping[str, Any]
    """What else there is to say, by kind: `addresses`, `reason`, `expires_at`, `days`, …."""
    explanation: str
    """Why it is told, and what to do."""
    first_at: datetime
    """When it began."""
    id: str
    """Its id."""
    is_muted: bool
    """Whether the kind was muted when it began: it was told to nobody."""
    kind: str
    """`token_new_address`, `refusal_burst`, `dead_token_used`, `login_new_address`, `two_factor_disabled`,
    `failed_logins`, `token_expiring`, `token_unused` or `webhook_disabled`. There may be more at any time.
    """
    last_at: datetime
    """When it happened last."""
    message: str
    """What happened, in a sentence."""
    severity: str
    """`info`, `warning` or `critical`."""
    state: str
    """`open`, `acknowledged` or `dismissed`."""
    subject_type: str
    """What it is about: `token`, `account` or `webhook`."""
    title: str
    """The kind in a few words."""
    ip_address: str | None = None
    """From where, the last time."""
    settled_at: datetime | None = None
    """When it was acknowledged or dismissed."""
    subject_id: str | None = None
    """Which one; `null` where the caller may not see it."""
    subject_name: str | None = None
    """What that was called then."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AlertPage:
    """A page of alerts: the whole answer, since `metadata` stands beside `data`."""

    data: Sequence[Alert]
    """The latest first."""
    message: str
    """What was done, for people."""
    metadata: PageMetadata
    """Which page it is."""
    status_code: int = field(metadata={"wire": "statusCode"})
    """The HTTP status, again."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AlertSetting:
    """A kind of alerts, and what the account wants of it."""

    default_threshold: int
    """Unless told."""
    explanation: str
    """Why it is told, and what to do."""
    is_enabled: bool
    """Whether there are alerts of it."""
    kind: str
    """The kind."""
    mail: bool
    """Whether a mail tells of it, to an address that is verified."""
    max_threshold: int
    """The most."""
    min_threshold: int
    """The least that may be set."""
    severity: str
    """`info`, `warning` or `critical`."""
    threshold: int
    """From when on."""
    threshold_unit: str
    """What the threshold counts."""
    title: str
    """The kind in a few words."""
    webhook: bool
    """Whether webhooks tell of it, those that want `alert.raised`."""
    disables: bool | None = None
    """Of `token_unused`: whether such tokens are disabled. `null` for every other kind."""
    muted_until: datetime | None = None
    """Until when its alerts are kept and told to nobody."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AuthConfig:
    """What a sign-in page needs to know of the server."""

    app_name: str = field(metadata={"wire": "appName"})
    """What the server calls itself."""
    github_enabled: bool = field(metadata={"wire": "githubEnabled"})
    """Signing in through GitHub: not here."""
    google_enabled: bool = field(metadata={"wire": "googleEnabled"})
    """Signing in through Google: not here."""
    invite_required: bool = field(metadata={"wire": "inviteRequired"})
    """Whether an invitation is asked for."""
    signup_enabled: bool = field(metadata={"wire": "signupEnabled"})
    """Whether anybody, or who is invited, may sign up."""
    logo_url: str | None = field(default=None, metadata={"wire": "logoUrl"})
    """Its picture; always `null` here."""
    primary_color: str | None = field(default=None, metadata={"wire": "primaryColor"})
    """Its colour; always `null` here."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AuthToken:
    """A token as every answer shows it. `token` is there once: when it was made."""

    alias: str
    """Its name, unique in the account."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    ip_whitelist: Sequence[str]
    """Addresses it may be used from, canonical; `*` is any."""
    is_enabled: bool
    """Whether it can be used at all."""
    prefix: str
    """What its secret starts with: `hdy_`."""
    updated_at: datetime
    """When it was last changed."""
    allow_no_realm: bool | None = None
    """Whether it may be used on the base host when it has no list."""
    created_by_token_id: str | None = None
    """The token that made it; `null` when a session did."""
    delegation_depth: int | None = None
    """How many tokens stand between it and a session."""
    description: str | None = None
    """What it is for, for people."""
    event_access: bool | None = None
    """Whether it may reach the event stream."""
    expires_at: datetime | None = None
    """When it ends; `null` is never."""
    external_id: str | None = None
    """What the operator's service calls whom the token is for."""
    hint: str | None = None
    """The last four characters of its secret, to tell tokens apart; absent for one that an older version made."""
    last_used_at: datetime | None = None
    """When it was last used, to about half a minute."""
    last_used_ip: str | None = None
    """Where it was last used from."""
    meta: Mapping[str, Any] | None = None
    """What the service stored with it."""
    permissions: Permissions | None = None
    """The leaves it holds, as a tree of `true`."""
    public_key: str | None = None
    """Ed25519 key shown in its public profile: 64 hex digits."""
    public_storage: Mapping[str, Any] | None = None
    """What its public profile holds."""
    realm_ids: Sequence[str] | None = None
    """Realms it is bound to; none listed means no list."""
    tags: Sequence[str] | None = None
    """Words that it is found by."""
    token: Secret | None = None
    """The secret itself; only in the answers to create and copy."""
    vault_access: bool | None = None
    """Whether it may reach the vault, beside the permission."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class AuthorizationCode:
    """An authorization code."""

    code: Secret
    """64 hex digits, good once within 60 seconds."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class BackupCodes:
    """New backup codes; the old ones open nothing any more."""

    backup_codes: Sequence[Secret]
    """Shown this once."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Challenge:
    """The second factor is asked for: send a code with the token to `POST /users/auth/2fa/verify`."""

    method: str
    """What is asked for: `totp`, or a backup code in its place."""
    requires_2fa: bool
    """Always true."""
    temp_token: Secret
    """Good for five minutes, and for nothing but this."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class CleanedEvents:
    """What a clean-up deleted."""

    cutoff_date: datetime
    """What is older than this was deleted."""
    deleted_count: int
    """So many events are gone."""
    retention_days: int
    """As asked for."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Container:
    """A container."""

    ai: bool
    """Stored and returned, without effect."""
    autostart: bool
    """Whether hoody starts it again when it ends by itself."""
    color: str
    """`#` and three or six upper-case hex digits."""
    container_image: str
    """The image it was made from."""
    created_at: datetime
    """When it was made."""
    dev_kit: bool
    """Stored and returned, without effect."""
    hoody_kit: bool
    """Whether the terminal answers."""
    id: str
    """Its id."""
    name: str
    """Its name, unique in the project."""
    project_id: str
    """Its project."""
    proxy_permissions_scope: str
    """`none`, `container`, `project` or `both`."""
    ramdisk: bool
    """Stored and returned, without effect."""
    ramdisk_scope: str
    """`container` or `project`."""
    status: str
    """`creating`, `running`, `stopped`, `failed` or `deleting`."""
    updated_at: datetime
    """When it was last changed."""
    comment: str | None = None
    """A note for people."""
    environment_vars: Mapping[str, str] | None = None
    """The environment of every command that runs in it."""
    has_proxy_domains: bool | None = None
    """Always false."""
    has_proxy_permissions: bool | None = None
    """Whether the container or its project has proxy permissions."""
    is_default: bool | None = None
    """Always false."""
    kvm: bool | None = None
    """Always false."""
    last_used_snapshot: str | None = None
    """The snapshot it was restored from last."""
    pool_id: str | None = None
    """Always null: there are no pools."""
    prespawn: bool | None = None
    """Always false."""
    project_alias: str | None = None
    """The project's name."""
    proxy_domains_count: int | None = None
    """Always 0."""
    realm_ids: Sequence[str] | None = None
    """Realms it belongs to."""
    server_id: str | None = None
    """The server that runs it."""
    server_name: str | None = None
    """The server's name in URLs."""
    snapshot_count: int | None = None
    """How many snapshots it has."""
    source_container_id: str | None = None
    """Always null: containers cannot be copied."""
    ssh_public_key: str | None = None
    """Stored and returned, without effect."""
    status_reason: str | None = None
    """Why it failed."""
    volumes: Mapping[str, Any] | None = None
    """Always empty: nothing of the host is mounted."""
    warnings: Sequence[str] | None = None
    """What to know about this answer, e.g. `ENGINE_UNAVAILABLE`; only for a single container."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ContainerEnvironment:
    """A container's environment."""

    environment_vars: Mapping[str, str]
    """Each variable with its value."""
    synced: bool | None = None
    """After a change: whether the next command sees it. Always true."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ContainerList:
    """A page of containers."""

    containers: Sequence[Container]
    """The containers of this page."""
    pagination: Pagination
    """The position of the page."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ContainerOperation:
    """The result of an operation on a container."""

    container_id: str
    """The container."""
    error: bool
    """Always false."""
    message: str
    """The result in a sentence."""
    operation: str
    """`start`, `stop`, `force-stop` or `restart`."""
    operation_id: str
    """Names this operation, 24 hex digits."""
    project_id: str
    """Its project."""
    status: str
    """The container's status now. An operation that takes longer than ten seconds goes on."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ContainerStats:
    """A container's use of its server. Sizes are bytes."""

    cpu: CpuStats
    """CPU time."""
    id: str
    """The container."""
    memory: MemoryStats
    """Memory."""
    processes: int
    """How many processes it has."""
    processing_time: float
    """How long gathering this took, in milliseconds."""
    project_id: str
    """Its project."""
    project_name: str
    """The project's name."""
    server_name: str
    """The server's name."""
    status: str
    """The container's status."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class CpuStats:
    """CPU time of a container."""

    allocated_time: int
    """Its limit, in nanoseconds a second."""
    usage: int
    """Used since the container started, in nanoseconds."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class CreatedSnapshot:
    """A new snapshot."""

    container_id: str
    """The container."""
    project_id: str
    """Its project."""
    snapshot: Snapshot
    """The snapshot."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class CreatedToken:
    """A new token, with its secret. The server shows the secret once."""

    alias: str
    """Its name, unique in the account."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    ip_whitelist: Sequence[str]
    """Addresses it may be used from, canonical; `*` is any."""
    is_enabled: bool
    """Whether it can be used at all."""
    prefix: str
    """What its secret starts with: `hdy_`."""
    updated_at: datetime
    """When it was last changed."""
    token: Secret
    """The secret itself. Store it now."""
    allow_no_realm: bool | None = None
    """Whether it may be used on the base host when it has no list."""
    created_by_token_id: str | None = None
    """The token that made it; `null` when a session did."""
    delegation_depth: int | None = None
    """How many tokens stand between it and a session."""
    description: str | None = None
    """What it is for, for people."""
    event_access: bool | None = None
    """Whether it may reach the event stream."""
    expires_at: datetime | None = None
    """When it ends; `null` is never."""
    external_id: str | None = None
    """What the operator's service calls whom the token is for."""
    hint: str | None = None
    """The last four characters of its secret, to tell tokens apart; absent for one that an older version made."""
    last_used_at: datetime | None = None
    """When it was last used, to about half a minute."""
    last_used_ip: str | None = None
    """Where it was last used from."""
    meta: Mapping[str, Any] | None = None
    """What the service stored with it."""
    permissions: Permissions | None = None
    """The leaves it holds, as a tree of `true`."""
    public_key: str | None = None
    """Ed25519 key shown in its public profile: 64 hex digits."""
    public_storage: Mapping[str, Any] | None = None
    """What its public profile holds."""
    realm_ids: Sequence[str] | None = None
    """Realms it is bound to; none listed means no list."""
    tags: Sequence[str] | None = None
    """Words that it is found by."""
    vault_access: bool | None = None
    """Whether it may reach the vault, beside the permission."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class CurrentToken:
    """What a token is told about itself (`GET /auth/tokens/me`)."""

    restrictions: Restrictions
    """Where it may be used."""
    token: AuthToken
    """The token, without its secret."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedContainer:
    """A container that went with its project."""

    id: str
    """Its id."""
    name: str
    """Its name."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedCounts:
    """How many things went with a deleted project."""

    aliases: int
    """Its proxy aliases."""
    containers: int
    """Its containers."""
    permissions: int
    """Its members' permissions."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedEvents:
    """What was deleted."""

    deleted_count: int
    """So many events are gone."""
    skipped_count: int | None = None
    """So many were left: on a realm's host, those that belong to another realm too."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedItems:
    """Which things went with a deleted project."""

    containers: Sequence[DeletedContainer]
    """Its containers."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedProject:
    """What went with a deleted project."""

    deleted: DeletedCounts
    """How many of each."""
    deleted_items: DeletedItems | None = None
    """Which; only with `include_deleted_items=true`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeletedSnapshot:
    """A snapshot that was deleted."""

    container_id: str
    """The container."""
    project_id: str
    """Its project."""
    snapshot_name: str
    """The snapshot's generated name."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeviceCode:
    """A code to show, and one to poll with."""

    device_code: Secret
    """To poll with: 64 hex digits."""
    user_code: str
    """To show: `XXXX-XXXX`."""
    verification_uri: str
    """Where the person types it."""
    verification_uri_complete: str
    """The same with the code filled in."""
    expires_in: int | None = None
    """For how many seconds the codes are good."""
    interval: int | None = None
    """How many seconds to wait between two polls."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class DeviceStatus:
    """Where a request of a device stands: `approved` or `denied`."""

    status: str
    """`approved` or `denied`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EffectiveLimits:
    """What a token and all that it descends from allow together; its realms are beside this."""

    event_access: bool
    """Whether it may read events."""
    ip_whitelist: Sequence[str]
    """Addresses and networks; empty is none at all."""
    permissions: Permissions
    """The tree, granted leaves only."""
    vault_access: bool
    """Whether it may open the vault, with the permission to."""
    expires_at: datetime | None = None
    """When it ends; null is never."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EnabledTwoFactor:
    """The second factor is on, every session before is over, and this is the new one."""

    refresh_token: Secret = field(metadata={"wire": "refreshToken"})
    """Gets the next pair, once."""
    token: Secret
    """The access token: goes into `Authorization: Bearer`."""
    sessions_revoked: bool
    """Always true."""
    enabled: bool
    """Always true."""
    enabled_at: datetime
    """Since when."""
    expires_at: datetime | None = None
    """When the access token ends."""
    expires_in: int | None = None
    """In how many seconds that is."""
    refresh_expires_at: datetime | None = None
    """When the refresh token ends."""
    refresh_expires_in: int | None = None
    """In how many seconds that is."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EndedSessions:
    """Every session before is over, and this is the new one."""

    refresh_token: Secret = field(metadata={"wire": "refreshToken"})
    """Gets the next pair, once."""
    token: Secret
    """The access token: goes into `Authorization: Bearer`."""
    sessions_revoked: bool
    """Always true."""
    expires_at: datetime | None = None
    """When the access token ends."""
    expires_in: int | None = None
    """In how many seconds that is."""
    refresh_expires_at: datetime | None = None
    """When the refresh token ends."""
    refresh_expires_in: int | None = None
    """In how many seconds that is."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Event:
    """Something that happened."""

    created_at: datetime
    """When it happened."""
    event_type: str
    """What happened, e.g. `auth.token.created`."""
    id: str
    """Its id: the same on every node, in the history and in a stream."""
    payload: Mapping[str, Any]
    """More about it; never a secret."""
    resource_id: str
    """The thing."""
    resource_type: str
    """What kind of thing it happened to, e.g. `auth_token`."""
    user_id: str
    """The account that it belongs to."""
    actor: EventActor | None = None
    """Who did it."""
    cursor: str | None = None
    """The place after it: what `after` and `Last-Event-ID` take."""
    ephemeral: bool | None = None
    """True for what is told live and not kept."""
    project_id: str | None = None
    """The project that it concerns, if any."""
    realm_ids: Sequence[str] | None = None
    """Realms of the thing, as far as the caller may know of them."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EventActor:
    """Who did something."""

    kind: str
    """`user` for the account's sessions and tokens, `system` for the operator and the server itself."""
    id: str | None = None
    """The session or token, if it was one."""
    via: str | None = None
    """`session`, `token`, `operator` or `nobody`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EventList:
    """A part of the history."""

    events: Sequence[Event]
    """The events, in the order that was asked for."""
    pagination: EventPagination
    """Where they stand."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EventPagination:
    """Where a part of the history stands."""

    has_more: bool
    """Whether there are more."""
    limit: int
    """The most that are given at once."""
    offset: int
    """How many were skipped; 0 with a cursor."""
    total: int
    """How many there are in all; -1 with a cursor."""
    latest_cursor: str | None = None
    """The end of the history; only with a cursor."""
    next_cursor: str | None = None
    """What to send as `after` to go on; only with a cursor."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class EventStats:
    """How many events there are."""

    by_resource: Mapping[str, int]
    """By what kind of thing it happened to."""
    by_type: Mapping[str, int]
    """By what happened."""
    total_events: int
    """All of them."""
    newest_event: datetime | None = None
    """When the newest happened."""
    oldest_event: datetime | None = None
    """When the oldest happened."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Explanation:
    """Whether it would be allowed, and everything that stands against it. Nothing is noted as a use."""

    allowed: bool
    """Whether it would be allowed."""
    status: int
    """The status of the answer: of `GET /auth/check`, or of the gate."""
    code: str | None = None
    """The code of the refusal."""
    message: str | None = None
    """The refusal, for people."""
    needs: str | None = None
    """What is needed: a permission; at a gate also `public` or `any`."""
    obstacles: Sequence[GateObstacle] | None = None
    """Everything that stands against it, in the order of the decision: the first decides."""
    realm_id: str | None = None
    """The realm that is asked in."""
    route: str | None = None
    """The pattern of the route that decides at the gate."""
    token_id: str | None = None
    """The token that is explained."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Gate:
    """A gate with its definition."""

    created_at: datetime
    """When it was made."""
    definition: GateDefinition
    """The gate as it was set."""
    id: str
    """Its id, which the proxy's URL names."""
    name: str
    """What its owner calls it."""
    updated_at: datetime
    """When it was last changed."""
    url: str
    """The URL that the proxy asks."""
    warnings: Sequence[str] | None = None
    """Routes that are valid but may be a mistake, one sentence each."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class GateDefinition:
    """What a gate decides by. A request that no route matches is refused."""

    hosts: Sequence[str]
    """The hosts that clients use, without port."""
    accounts: Any = None
    """Whose tokens come in: `own` (default), `any`, or a list of account ids besides the owner's."""
    case: str | None = None
    """`fold` for services that ignore case in paths; `exact` by default."""
    log: str | None = None
    """What the request log keeps: `route` (default) is the route's pattern, `path` the client's path."""
    name: str | None = None
    """1 to 64 lower-case letters, digits, hyphens and underscores. Optional in requests, whose path has it."""
    oauth: bool | None = None
    """Whether refusals name OAuth metadata of the first host; false by default."""
    preflight: str | None = None
    """`pass` lets a browser's preflight requests through; `check` (default) does not."""
    realm: str | None = None
    """`none` (default), a realm id, or `{realm}.` before a host name."""
    route: Sequence[GateRoute] | None = None
    """The routes, at most 1,000. The most literal pattern decides."""
    sessions: bool | None = None
    """Whether sessions come in; false by default."""
    sign: bool | None = None
    """Whether every answer carries a signed identity; false by default."""
    strip: str | None = None
    """What the proxy takes off the path behind the gate. For explanations only."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class GateObstacle:
    """One rule that keeps a request out."""

    change: str
    """What to change."""
    code: str
    """Its code."""
    message: str
    """The rule, for people."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class GateRoute:
    """A route of a gate. It has exactly one of `public`, `any`, `permission`, `any_of` and `all_of`."""

    path: str
    """The pattern: literal segments, `{name}` for one segment, and a last `**`."""
    all_of: Sequence[str] | None = None
    """Permissions that are all needed."""
    any: bool | None = None
    """True if any credential that the gate accepts comes in."""
    any_of: Sequence[str] | None = None
    """Permissions of which one is needed."""
    cost: int | None = None
    """What one request takes of the token's limits; 1 by default."""
    log: str | None = None
    """As the gate's, for this route."""
    methods: Sequence[str] | None = None
    """The methods; all if left out. GET includes HEAD."""
    permission: str | None = None
    """The permission that is needed."""
    public: bool | None = None
    """True if no credential is needed."""
    tail: str | None = None
    """`opaque` lets what `**` matches hold `%2F`, `;` and `//`; `canonical` by default."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class GateSummary:
    """A gate in a list."""

    created_at: datetime
    """When it was made."""
    hosts: Sequence[str]
    """The hosts that it answers for."""
    id: str
    """Its id, which the proxy's URL names."""
    name: str
    """What its owner calls it."""
    realm: str
    """`none`, a realm id, or `{realm}.` before a host name."""
    routes: int
    """How many routes it has."""
    updated_at: datetime
    """When it was last changed."""
    url: str
    """The URL that the proxy asks."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class GateTest:
    """What a gate would answer, and why. Nothing is logged as a use of the credential."""

    allowed: bool
    """Whether the request would come in."""
    status: int
    """The status of the answer."""
    code: str | None = None
    """The code of the refusal."""
    external_id: str | None = None
    """What the service calls the one whom the token is for."""
    message: str | None = None
    """The refusal, for people."""
    needs: str | None = None
    """What that route needs: `public`, `any`, or permissions joined by spaces."""
    obstacles: Sequence[GateObstacle] | None = None
    """Everything that keeps the request out, in the order of the decision."""
    permissions: str | None = None
    """`X-Hoody-Permissions`."""
    realm_id: str | None = None
    """The realm that the request is in."""
    route: str | None = None
    """The pattern of the route that decides."""
    token_alias: str | None = None
    """The token's alias, before it is encoded for `X-Hoody-Token-Alias`."""
    token_id: str | None = None
    """`X-Hoody-Token-Id`."""
    user_id: str | None = None
    """`X-Hoody-User-Id`, if the request would come in with a credential."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Intent:
    """What a login answers to `response_mode: intent`: proof that it succeeded, to be turned into a code."""

    auth_intent_token: Secret
    """Goes as Bearer to `POST /auth/authorize`: once, within 60 seconds."""
    user: User
    """Who signed in."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class IpInfo:
    """What the server sees of the caller (`GET /ip`)."""

    headers: Mapping[str, str]
    """As sent, without anything that signs in."""
    ip: str
    """The address that lists of addresses are compared with."""
    is_logged: bool
    """Whether it carried a credential that holds."""
    protocol: str
    """`http` or `https`."""
    timestamp: datetime
    """When the request was read."""
    ip_info: Mapping[str, Any] | None = None
    """Where the address is; `null` without a database of places."""
    referer: str | None = None
    """As sent."""
    user_agent: str | None = None
    """As sent."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class LoginAddress:
    """An address that signed in, and when."""

    ip: str
    """The address."""
    timestamp: datetime
    """When it last signed in."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class LoginData:
    """A new session."""

    refresh_token: Secret = field(metadata={"wire": "refreshToken"})
    """Gets the next pair, once."""
    token: Secret
    """The access token: goes into `Authorization: Bearer`."""
    user: User
    """Whose session it is."""
    auth_token_count: int | None = None
    """How many live tokens the account has."""
    client_ip: str | None = None
    """The address that signed in."""
    container: Mapping[str, Any] | None = None
    """Of the hosted service; always `null` here."""
    expires_at: datetime | None = None
    """When the access token ends."""
    expires_in: int | None = None
    """In how many seconds that is."""
    project: LoginProject | None = None
    """The project to start in, if the server names one."""
    recent_login_ips: Sequence[LoginAddress] | None = None
    """The last five distinct addresses that did, newest first."""
    refresh_expires_at: datetime | None = None
    """When the refresh token ends."""
    refresh_expires_in: int | None = None
    """In how many seconds that is."""
    server: Mapping[str, Any] | None = None
    """Of the hosted service; always `null` here."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class LoginProject:
    """The project that a session starts in."""

    alias: str
    """Its name."""
    id: str
    """Its id."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Me:
    """The caller's account (`GET /users/auth/me`), and the token that asks, if one does."""

    alias: str
    """The name to show."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    is_banned: bool
    """Whether the account is shut out."""
    updated_at: datetime
    """When it was last changed."""
    username: str
    """The name to sign in with."""
    avatar_url: str | None = None
    """Where its picture is."""
    email: str | None = None
    """The address to sign in with."""
    email_verified: bool | None = None
    """Whether the address is known to be the owner's."""
    free_tier_unlock_source: str | None = None
    """Of the hosted service; always `null` here."""
    free_tier_unlocked: bool | None = None
    """Of the hosted service; always `false` here."""
    free_tier_unlocked_at: datetime | None = None
    """Of the hosted service; always `null` here."""
    metadata: Mapping[str, Any] | None = None
    """Whatever the account keeps with itself."""
    onboarding: Mapping[str, datetime] | None = None
    """Milestones and when they were first reached."""
    public_key: str | None = None
    """Ed25519 key: 64 hex digits."""
    signup_method: str | None = None
    """How it came to be: `email`, `github`, `google`, or `null`: made by the operator."""
    auth_token: CurrentToken | None = None
    """The calling token; absent for a session."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class MemberUser:
    """As much of an account as those who share a project with it may know."""

    alias: str
    """The name to show."""
    id: str
    """Its id."""
    username: str
    """The name to sign in with."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class MemoryStats:
    """Memory of a container, in bytes."""

    total: int
    """Its limit."""
    usage: int
    """In use."""
    usage_percent: float
    """In use, in percent of the limit."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PageMetadata:
    """Where a page of a log stands."""

    limit: int
    """How many a page holds at most."""
    page: int
    """This page, from 1."""
    pages: int
    """How many pages there are; 0 when there is nothing."""
    total: int
    """How many there are in all."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Pagination:
    """Where a page stands in its list."""

    limit: int
    """How many a page holds at most."""
    page: int
    """This page, from 1."""
    total: int
    """How many there are in all."""
    total_pages: int = field(metadata={"wire": "totalPages"})
    """How many pages there are; 0 when there is nothing."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PasswordReset:
    """What a reset left: sessions are ended, and tokens go on unless they were to end."""

    active_tokens: int
    """How many API tokens of the account still work."""
    disabled_tokens: int
    """How many were disabled now."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PendingDevice:
    """A request that waits for somebody to sign in."""

    device_verify_ticket: Secret
    """Goes with the cookie that comes with this answer."""
    expires_in: int
    """For how many seconds still."""
    status: str
    """Always `pending`."""
    client_ip: str | None = None
    """The address that asked."""
    client_name: str | None = None
    """What asks, as it calls itself."""
    requested_at: datetime | None = None
    """When it asked."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PermissionCatalogue:
    """Which permissions there are."""

    permissions: Sequence[PermissionInfo]
    """The operator's permissions, and hoody's own that guard a route of this server."""
    templates: Sequence[TemplateInfo]
    """What `permission_template` takes."""
    version: int
    """Grows by one with each change of the operator's permissions."""
    unused: Sequence[PermissionInfo] | None = None
    """Hoody's own permissions that guard no route of this server; with `?unused=true` alone."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PermissionInfo:
    """One permission."""

    description: str
    """What it is for."""
    old_paths: Sequence[str]
    """Paths that it had before. They work for ever."""
    origin: PermissionOrigin
    """Who defines it."""
    path: str
    """Its dotted path."""
    state: PermissionState
    """Whether it can be granted."""
    writes: bool
    """Whether it lets its holder change something."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PermissionList:
    """A page of those who may reach a project."""

    pagination: Pagination
    """Where the page stands."""
    permissions: Sequence[ProjectMember]
    """The members of this page."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PermissionTemplate:
    """A named set of permissions."""

    description: str
    """What it is for."""
    name: str
    """What `permission_template` takes."""
    permissions: Permissions
    """What it grants, as a tree of `true`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PermissionUses:
    """How often a permission was needed."""

    permission: str
    """The permission's path."""
    total: int
    """How often, whether it was held or not."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Project:
    """A project."""

    alias: str
    """Its name, unique in the account."""
    color: str
    """`#` and three or six upper-case hex digits."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    updated_at: datetime
    """When it was last changed."""
    user_id: str
    """Its owner."""
    is_default: bool | None = None
    """Whether it is the account's first project, which cannot be deleted."""
    max_containers: int | None = None
    """How many containers it may hold; `null` is no limit."""
    permissions: Sequence[ProjectMember] | None = None
    """Who else may reach it; only with `include_permissions=true`."""
    realm_ids: Sequence[str] | None = None
    """Realms it belongs to."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ProjectList:
    """A page of projects: the caller's own and those shared with it."""

    pagination: Pagination
    """Where the page stands."""
    projects: Sequence[Project]
    """The projects of this page."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ProjectMember:
    """Another account's access to a project."""

    created_at: datetime
    """When it was given."""
    id: str
    """The access's own id."""
    permission_level: PermissionLevel
    """What it may do."""
    project_id: str
    """The project."""
    updated_at: datetime
    """When it was last changed."""
    user_id: str
    """The account."""
    user: MemberUser | None = None
    """Who that is."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ProjectStats:
    """What runs in a project."""

    stats: Sequence[Mapping[str, Any]]
    """One object a container."""
    summary: ProjectSummary
    """All of them together."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ProjectSummary:
    """All of a project's containers together."""

    container_count: int
    """How many containers it has."""
    project_id: str
    """The project."""
    project_name: str
    """Its name."""
    total_processing_time: float
    """How long gathering this took, in milliseconds."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ProxyDefault:
    """Whether terminals answer without a credential."""

    default: str
    """`allow` opens the terminals to everyone who has their URLs; `deny` asks for a credential."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PublicKey:
    """A key to verify with."""

    algorithm: str
    """`ed25519`."""
    kid: str
    """Its id."""
    public_key_b64: str
    """The same in Base64."""
    public_key_b64url: str
    """The same in base64url without padding."""
    public_key_hex: str
    """64 lowercase hex digits."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PublicKeys:
    """The keys that others verify signatures of this server with."""

    active_kid: str
    """The id of the one that signs now."""
    keys: Sequence[PublicKey]
    """The keys, the one that signs now first. During a rotation of the master key there are several."""
    signing_format: SigningFormat
    """How."""
    usage: Sequence[str]
    """What they sign: `gate-identity`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class PublicProfile:
    """What anyone signed in may know of a token by its public key."""

    public_key: str
    """The key that was asked for: 64 lowercase hex digits."""
    public_storage: Mapping[str, Any] | None = None
    """What the token's owner published."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class RealmList:
    """The realms that anything of the account carries."""

    realm_ids: Sequence[str]
    """Each once."""
    total: int
    """How many."""
    usage: Mapping[str, RealmUsage] | None = None
    """What carries them; only with `include_usage=true`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class RealmUsage:
    """How many things carry a realm."""

    auth_tokens: int
    """Tokens."""
    containers: int
    """Containers."""
    projects: int
    """Projects."""
    servers: int
    """Servers."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ReducedMe:
    """The caller's account, as a token without `resources.read_account` sees it."""

    alias: str
    """The name to show."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    updated_at: datetime
    """When it was last changed."""
    username: str
    """The name to sign in with."""
    public_key: str | None = None
    """Ed25519 key: 64 hex digits."""
    auth_token: CurrentToken | None = None
    """The calling token."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class ReducedUser:
    """An account, as a token without `resources.read_account` sees it."""

    alias: str
    """The name to show."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    updated_at: datetime
    """When it was last changed."""
    username: str
    """The name to sign in with."""
    public_key: str | None = None
    """Ed25519 key: 64 hex digits."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class RefreshData:
    """The next pair of a session."""

    refresh_token: Secret = field(metadata={"wire": "refreshToken"})
    """Gets the next pair, once."""
    token: Secret
    """The access token: goes into `Authorization: Bearer`."""
    expires_at: datetime | None = None
    """When the access token ends."""
    expires_in: int | None = None
    """In how many seconds that is."""
    refresh_expires_at: datetime | None = None
    """When the refresh token ends."""
    refresh_expires_in: int | None = None
    """In how many seconds that is."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Region:
    """A region of the hosted service."""

    available: bool
    """Whether there is room."""
    city: str
    """The city it is in."""
    country: str
    """The country it is in."""
    region: str
    """Its name."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Regions:
    """Where an account can be; a self-hosted server has no regions."""

    regions: Sequence[Region]
    """Always empty here."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class RestoredSnapshot:
    """A container that was restored."""

    message: str
    """The result in a sentence."""
    snapshot: Snapshot
    """The snapshot."""
    success: bool
    """Whether the container runs from the snapshot."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Restrictions:
    """Where the calling token may be used."""

    allow_no_realm: bool
    """As stored."""
    allowed_realm_ids: Sequence[str]
    """Its list of realms; empty is no list."""
    has_realm_restrictions: bool
    """It has a list of realms, or may not be used without one."""
    requires_realm_scope: bool
    """It must be used on a realm host."""
    active_realm_id: str | None = None
    """The realm of this request's host."""
    effective: EffectiveLimits | None = None
    """What it may really do, where tokens that it descends from bound it. Absent for a token that a session
    made.
    """
    max_delegation_depth: int | None = None
    """How deep tokens may make tokens on this server."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class SecurityEvent:
    """One thing that happened to an account."""

    created_at: datetime
    """When."""
    event: str
    """`login`, `logout`, `login_failed`, `otp_verify_failed`, `password_failed`, `password_changed`,
    `otp_enabled`, `otp_disabled`, `otp_reset`, `otp_gate_changed`, `backup_codes_regenerated`,
    `device_approved`, `session_replayed`. There may be more at any time.
    """
    id: str
    """Its id."""
    outcome: str
    """`success` or `failed`."""
    client: str | None = None
    """What the client called itself: `web`, `cli`, …; `null` where it did not say."""
    country: str | None = None
    """Always `null`: this server does not look addresses up."""
    ip_address: str | None = None
    """From where; `null`: the operator, at the machine."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class SecurityHistoryEnvelope:
    """A page of the history: the whole answer, since `metadata` stands beside `data`."""

    data: Sequence[SecurityEvent]
    """The latest first."""
    message: str
    """What was done, for people."""
    metadata: PageMetadata
    """Which page it is."""
    status_code: int = field(metadata={"wire": "statusCode"})
    """The HTTP status, again."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class SignedUp:
    """What signing up says, whether or not the address has an account."""

    email: str
    """The address, as it was given."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class SigningFormat:
    """What is signed, and how."""

    gate_identity: str
    """The header `X-Hoody-Identity` of a gate's answer."""
    gate_identity_seconds: int
    """For how many seconds it is valid."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Snapshot:
    """A saved state of a container's file system."""

    created_at: datetime
    """When it was made."""
    name: str
    """The generated name: the one that routes take."""
    stateful: bool
    """Always false: processes and memory are not saved."""
    alias: str | None = None
    """A name for people."""
    expires_at: datetime | None = None
    """When it is deleted."""
    last_used_at: datetime | None = None
    """When a container was last restored from it."""
    size: int | None = None
    """Its size in bytes, with the layers it shares; null while that is not known."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class SnapshotList:
    """The snapshots of a container."""

    container_id: str
    """The container."""
    project_id: str
    """Its project."""
    snapshot_count: int
    """How many snapshots it has."""
    snapshots: Sequence[Snapshot]
    """The snapshots, the newest first."""
    max_snapshots: int | None = None
    """How many it may have."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TemplateInfo:
    """One template."""

    description: str
    """What it is for."""
    name: str
    """What `permission_template` takes."""
    origin: PermissionOrigin
    """Who defines it."""
    permissions: Sequence[str]
    """The paths that it grants."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TokenGateState:
    """How the gate stands."""

    require_for_tokens: bool
    """Whether sessions need a code to make and change tokens."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TokenListEnvelope:
    """All tokens of the account, or those that the caller may see."""

    data: Sequence[AuthToken]
    """The tokens, newest first."""
    message: str
    """What was done, for people."""
    status_code: int = field(metadata={"wire": "statusCode"})
    """The HTTP status, again."""
    truncated: bool | None = None
    """The caller may not see all of the account's tokens, so some are left out. Absent is no."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TokenUsage:
    """What a token did. Numbers are of the last `days` days, but when it was seen is of the whole log."""

    by_address: Sequence[AddressUses]
    """Requests by address, the most first, at most 20 of them."""
    by_day: Sequence[UsesInTime]
    """The days on which it was used."""
    by_hour: Sequence[UsesInTime]
    """The last 48 hours in which it was used."""
    by_permission: Sequence[PermissionUses]
    """Requests by the permission that they needed, the most first. What is not here it did not use."""
    by_status: Mapping[str, int]
    """Requests by HTTP status."""
    days: int
    """How many days the numbers are of; today is one."""
    errors: int
    """Those that were answered with 400 or more."""
    other_addresses: int
    """Requests from other addresses. Of each hour, 32 addresses are told apart."""
    token_id: str
    """The token."""
    total: int
    """All requests."""
    first_seen: datetime | None = None
    """The first request in the log."""
    last_seen: datetime | None = None
    """The last request in the log, allowed or refused."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TwoFactorSetup:
    """A new secret, not in force until a code of it is shown."""

    backup_codes: Sequence[Secret]
    """Each is good once in place of a code."""
    manual_entry_key: Secret
    """The secret for typing: base32."""
    qr_code: Secret
    """A picture for the app to scan: a PNG as a data URI."""
    otpauth_uri: Secret | None = None
    """What the picture says."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class TwoFactorStatus:
    """How the second factor stands."""

    backup_codes_remaining: int
    """How many backup codes are left."""
    enabled: bool
    """Whether it is on."""
    require_for_tokens: bool
    """Whether sessions need a code to make and change tokens."""
    verified: bool
    """Whether a code of it was shown: the same, because it is on from then."""
    enabled_at: datetime | None = None
    """Since when."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class User:
    """An account, as its owner sees it."""

    alias: str
    """The name to show."""
    created_at: datetime
    """When it was made."""
    id: str
    """Its id."""
    is_banned: bool
    """Whether the account is shut out."""
    updated_at: datetime
    """When it was last changed."""
    username: str
    """The name to sign in with."""
    avatar_url: str | None = None
    """Where its picture is."""
    email: str | None = None
    """The address to sign in with."""
    email_verified: bool | None = None
    """Whether the address is known to be the owner's."""
    free_tier_unlock_source: str | None = None
    """Of the hosted service; always `null` here."""
    free_tier_unlocked: bool | None = None
    """Of the hosted service; always `false` here."""
    free_tier_unlocked_at: datetime | None = None
    """Of the hosted service; always `null` here."""
    metadata: Mapping[str, Any] | None = None
    """Whatever the account keeps with itself."""
    onboarding: Mapping[str, datetime] | None = None
    """Milestones and when they were first reached."""
    public_key: str | None = None
    """Ed25519 key: 64 hex digits."""
    signup_method: str | None = None
    """How it came to be: `email`, `github`, `google`, or `null`: made by the operator."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class UsesInTime:
    """Requests in an hour or on a day (UTC)."""

    errors: int
    """Those that were answered with 400 or more."""
    start: datetime
    """When it begins."""
    total: int
    """All requests."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class VaultCleared:
    """What `DELETE /vault` did."""

    deleted_count: int
    """How many keys there were."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class VaultKey:
    """A key of the vault, without its value."""

    created_at: datetime
    """When it was made."""
    key: str
    """Its name, unique in the account and realm."""
    realm_id: str
    """The realm that it is in; on the wire the empty string where it is in none."""
    size_bytes: int
    """What it takes of the limit: value and metadata."""
    updated_at: datetime
    """When it was last set."""
    metadata: Mapping[str, Any] | None = None
    """Whatever belongs to it and is no secret."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class VaultRecord:
    """A key of the vault with its value."""

    created_at: datetime
    """When it was made."""
    key: str
    """Its name, unique in the account and realm."""
    realm_id: str
    """The realm that it is in; on the wire the empty string where it is in none."""
    size_bytes: int
    """What it takes of the limit: value and metadata."""
    updated_at: datetime
    """When it was last set."""
    value: Secret
    """The value, as it was set."""
    metadata: Mapping[str, Any] | None = None
    """Whatever belongs to it and is no secret."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class VaultStats:
    """How full the vault is."""

    limit_mb: float
    """What all realms together may take, in MiB."""
    remaining_mb: float
    """What is left for all of them, in MiB."""
    total_keys: int
    """How many keys there are in this realm."""
    total_size_bytes: int
    """What they take."""
    total_size_mb: float
    """The same in MiB."""
    used_percentage: float
    """How much of that they do."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Verified:
    """What became of one credential."""

    allowed: bool
    """Whether it may."""
    account_id: str | None = None
    """Its account."""
    alias: str | None = None
    """Its name."""
    code: str | None = None
    """Why not: `NOT_FOUND` for one that is unknown, deleted or another account's."""
    expires_at: datetime | None = None
    """When it ends."""
    external_id: str | None = None
    """What your service calls whom it is for."""
    message: str | None = None
    """The refusal, for people."""
    meta: Mapping[str, Any] | None = None
    """What your service stored with it."""
    permissions: Sequence[str] | None = None
    """The permissions that it holds."""
    realm_ids: Sequence[str] | None = None
    """The realms that it is bound to."""
    ref: str | None = None
    """What the question named it by."""
    token_id: str | None = None
    """The token. This and the rest are absent with `NOT_FOUND` and `UNAVAILABLE`."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class Webhook:
    """An endpoint that events are sent to."""

    created_at: datetime
    """When it was made."""
    description: str
    """What it is for."""
    id: str
    """Its id."""
    is_enabled: bool
    """Whether anything is sent to it."""
    updated_at: datetime
    """When it was last changed."""
    url: str
    """Where it is."""
    disabled_reason: str | None = None
    """Why the server switched it off, if it did."""
    event_types: Sequence[str] | None = None
    """Which events it gets: types, or families like `auth.token.*`; empty is all."""
    failing_since: datetime | None = None
    """Since when nothing arrives, if nothing does."""
    previous_secret_until: datetime | None = None
    """Until when messages carry a signature with the secret before the last rotation, too."""
    realm_ids: Sequence[str] | None = None
    """Of which realms; empty is all, and what is in none."""
    secret: Secret | None = None
    """`whsec_…`: shown once, when it is made or rotated."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


@dataclass(slots=True, frozen=True, kw_only=True)
class WebhookDelivery:
    """An event on its way to an endpoint, or there."""

    attempts: int
    """How often it was sent."""
    created_at: datetime
    """When it was put on its way."""
    event_id: str
    """The event; the header `webhook-id` names it."""
    event_type: str
    """What happened."""
    id: str
    """Its id."""
    state: str
    """`waiting`, `delivered` or `failed`."""
    webhook_id: str
    """The endpoint."""
    answer: str | None = None
    """The beginning of what was answered."""
    duration_ms: int | None = None
    """How long that took."""
    error: str | None = None
    """Why it was not taken."""
    last_attempt_at: datetime | None = None
    """When it was last sent."""
    next_attempt_at: datetime | None = None
    """When it is sent next, if it waits."""
    status: int | None = None
    """The status that was answered then."""
    extra: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)


class VerifyItem(TypedDict, total=False):
    """One credential to verify."""

    address: str
    """Where the client is. Without it a token that is bound to addresses is refused."""
    all_of: Sequence[str]
    """Permissions that are all needed."""
    any_of: Sequence[str]
    """Permissions of which one is needed."""
    credential: str
    """The token as the client sent it, without a scheme."""
    method: str
    """The client's method, for the request log."""
    permission: str
    """The permission that is needed; at most one of this, `any_of` and `all_of`."""
    realm_id: str
    """The realm that is asked in; none unless told."""
    ref: str
    """What the answer names it by, at most 255 characters."""
    route: str
    """The pattern of the route that was asked, for the request log; never a path with secrets in it."""


DeviceLoginAnswer = Union[DeviceStatus, Challenge]
"""What signing in for a device gives: never a session."""

ExpiresAt = Union[str, datetime, int]
"""When a token ends, in any of the forms of the API's contract but `null`."""

IpWhitelist = Union[Sequence[str], str]
"""Addresses, in either form of the API's contract."""

LoginAnswer = Union[LoginData, Challenge, Intent]
"""What signing in gives."""

PermissionLevel = Literal["read", "edit", "delete"]
"""What another account may do with a project; each level includes those before it."""

PermissionOrigin = Literal["hoody", "operator"]
"""Who defines a permission."""

PermissionState = Literal["live", "retired"]
"""Whether a permission can be granted."""

Profile = Union[Me, ReducedMe]
"""Either view of the caller's account."""

UserCodeAnswer = Union[PendingDevice, DeviceStatus]
"""What a user code is for."""

UserProfile = Union[User, ReducedUser]
"""Either view of an account (`GET /users/{id}`)."""

VerifyAnswer = Union[LoginData, Intent, DeviceStatus]
"""What the second factor gives."""
