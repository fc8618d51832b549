"""The resources of a client for asyncio or trio.

Written by sdk/emit from openapi.json and sdk/names.json. Do not edit.
"""

from __future__ import annotations

import builtins
from collections.abc import Mapping, Sequence
from typing import Any

from . import types as t
from ._answer import Envelope
from ._call import OMIT, Omit
from ._async import AsyncCore, AsyncEvents, AsyncPage
from ._secret import hide


class AuthTokens:
    """`client.auth_tokens`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        external_id: str | Omit = OMIT,
        tag: str | Omit = OMIT,
        state: str | Omit = OMIT,
    ) -> AsyncPage[builtins.list[t.AuthToken], t.AuthToken]:
        """The account's tokens that the caller may see; a long list is sent as it is read. Await it for one
        page, or iterate it for all. `GET /api/v1/auth/tokens`
        """
        return self._core.list(
            "GET /api/v1/auth/tokens",
            list[t.AuthToken],
            dict(style="whole", items="data"),
            query={"external_id": external_id, "tag": tag, "state": state},
        )

    async def create(
        self,
        *,
        alias: str | Omit = OMIT,
        allow_no_realm: bool | Omit = OMIT,
        deny_reauthorization: bool | Omit = OMIT,
        description: str | None | Omit = OMIT,
        event_access: bool | Omit = OMIT,
        expires_at: t.ExpiresAt | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        ip_whitelist: t.IpWhitelist | Omit = OMIT,
        meta: Mapping[str, Any] | None | Omit = OMIT,
        otp_code: str | Omit = OMIT,
        permission_template: str | None | Omit = OMIT,
        permissions: t.Permissions | Omit = OMIT,
        public_key: str | None | Omit = OMIT,
        public_storage: Mapping[str, Any] | None | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
        tags: Sequence[str] | Omit = OMIT,
        vault_access: bool | Omit = OMIT,
    ) -> Envelope[t.CreatedToken]:
        """Makes a token; its secret is in this answer and nowhere else. `POST /api/v1/auth/tokens`"""
        otp_code = hide(otp_code)
        return await self._core.call(
            "POST /api/v1/auth/tokens",
            t.CreatedToken,
            body={
                "alias": alias,
                "allow_no_realm": allow_no_realm,
                "deny_reauthorization": deny_reauthorization,
                "description": description,
                "event_access": event_access,
                "expires_at": expires_at,
                "external_id": external_id,
                "ip_whitelist": ip_whitelist,
                "meta": meta,
                "otp_code": otp_code,
                "permission_template": permission_template,
                "permissions": permissions,
                "public_key": public_key,
                "public_storage": public_storage,
                "realm_ids": realm_ids,
                "tags": tags,
                "vault_access": vault_access,
            },
        )

    async def copy(
        self,
        id: str,
        *,
        alias: str | Omit = OMIT,
        expires_at: t.ExpiresAt | None | Omit = OMIT,
        otp_code: str | Omit = OMIT,
    ) -> Envelope[t.CreatedToken]:
        """Makes a token like another, with a secret of its own. `POST /api/v1/auth/tokens/{id}/copy`"""
        otp_code = hide(otp_code)
        return await self._core.call(
            "POST /api/v1/auth/tokens/{id}/copy",
            t.CreatedToken,
            args=(id,),
            body={"alias": alias, "expires_at": expires_at, "otp_code": otp_code},
        )

    async def get(self, id: str) -> Envelope[t.AuthToken]:
        """One token. `GET /api/v1/auth/tokens/{id}`"""
        return await self._core.call("GET /api/v1/auth/tokens/{id}", t.AuthToken, args=(id,))

    async def get_current(self) -> Envelope[t.CurrentToken]:
        """The calling token itself: how it learns its realms and limits. `GET /api/v1/auth/tokens/me`"""
        return await self._core.call("GET /api/v1/auth/tokens/me", t.CurrentToken)

    async def update(
        self,
        id: str,
        *,
        alias: str | Omit = OMIT,
        allow_no_realm: bool | Omit = OMIT,
        description: str | None | Omit = OMIT,
        event_access: bool | Omit = OMIT,
        expires_at: t.ExpiresAt | None | Omit = OMIT,
        external_id: str | None | Omit = OMIT,
        ip_whitelist: t.IpWhitelist | Omit = OMIT,
        is_enabled: bool | Omit = OMIT,
        meta: Mapping[str, Any] | None | Omit = OMIT,
        otp_code: str | Omit = OMIT,
        permissions: t.Permissions | Omit = OMIT,
        public_key: str | None | Omit = OMIT,
        public_storage: Mapping[str, Any] | None | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
        tags: Sequence[str] | Omit = OMIT,
        vault_access: bool | Omit = OMIT,
    ) -> Envelope[t.AuthToken]:
        """Changes a token; what is left out stays as it is. `PUT /api/v1/auth/tokens/{id}`"""
        otp_code = hide(otp_code)
        return await self._core.call(
            "PUT /api/v1/auth/tokens/{id}",
            t.AuthToken,
            args=(id,),
            body={
                "alias": alias,
                "allow_no_realm": allow_no_realm,
                "description": description,
                "event_access": event_access,
                "expires_at": expires_at,
                "external_id": external_id,
                "ip_whitelist": ip_whitelist,
                "is_enabled": is_enabled,
                "meta": meta,
                "otp_code": otp_code,
                "permissions": permissions,
                "public_key": public_key,
                "public_storage": public_storage,
                "realm_ids": realm_ids,
                "tags": tags,
                "vault_access": vault_access,
            },
            is_once=not isinstance(otp_code, Omit),
        )

    async def delete(self, id: str) -> Envelope[None]:
        """Deletes a token for good, and every token that descends from it. `DELETE /api/v1/auth/tokens/{id}`"""
        return await self._core.call("DELETE /api/v1/auth/tokens/{id}", None, args=(id,))

    async def add_realm(
        self,
        id: str,
        *,
        realm_id: str,
        otp_code: str | Omit = OMIT,
    ) -> Envelope[t.AuthToken]:
        """Adds a realm to a token's list. `POST /api/v1/auth/tokens/{id}/add-realm`"""
        otp_code = hide(otp_code)
        return await self._core.call(
            "POST /api/v1/auth/tokens/{id}/add-realm",
            t.AuthToken,
            args=(id,),
            body={"realm_id": realm_id, "otp_code": otp_code},
        )

    async def remove_realm(
        self,
        id: str,
        *,
        realm_id: str,
        otp_code: str | Omit = OMIT,
    ) -> Envelope[t.AuthToken]:
        """Takes a realm out of a token's list; the last one leaves the flags as they are. `POST
        /api/v1/auth/tokens/{id}/remove-realm`
        """
        otp_code = hide(otp_code)
        return await self._core.call(
            "POST /api/v1/auth/tokens/{id}/remove-realm",
            t.AuthToken,
            args=(id,),
            body={"realm_id": realm_id, "otp_code": otp_code},
        )

    async def usage(self, id: str, *, days: int | Omit = OMIT) -> Envelope[t.TokenUsage]:
        """What a token did: by hour and day, status, permission and address. `GET
        /api/v1/auth/tokens/{id}/usage`
        """
        return await self._core.call(
            "GET /api/v1/auth/tokens/{id}/usage",
            t.TokenUsage,
            args=(id,),
            query={"days": days},
        )

    async def update_public_profile(
        self,
        *,
        public_key: str | None | Omit = OMIT,
        public_storage: Mapping[str, Any] | None | Omit = OMIT,
    ) -> Envelope[t.AuthToken]:
        """Changes the calling token's own public profile. `PUT /api/v1/auth/tokens/me/public-profile`"""
        return await self._core.call(
            "PUT /api/v1/auth/tokens/me/public-profile",
            t.AuthToken,
            body={"public_key": public_key, "public_storage": public_storage},
        )

    async def get_public_profile(self, public_key: str) -> Envelope[t.PublicProfile]:
        """The public profile behind a key. `GET /api/v1/auth/tokens/public-profiles/{public_key}`"""
        return await self._core.call(
            "GET /api/v1/auth/tokens/public-profiles/{public_key}",
            t.PublicProfile,
            args=(public_key,),
        )

    async def list_auth_token_permission_templates(self) -> Envelope[builtins.list[t.PermissionTemplate]]:
        """The permission templates, resolved. `GET /api/v1/auth/tokens/templates`"""
        return await self._core.call("GET /api/v1/auth/tokens/templates", list[t.PermissionTemplate])

class Permissions:
    """`client.permissions`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def list(self, *, unused: bool | Omit = OMIT) -> Envelope[t.PermissionCatalogue]:
        """Which permissions there are: all to a session and to a token with `resources.read_account`, to other
        tokens those that they hold. `GET /api/v1/permissions`
        """
        return await self._core.call(
            "GET /api/v1/permissions",
            t.PermissionCatalogue,
            query={"unused": unused},
        )

    async def explain(
        self,
        *,
        address: str | Omit = OMIT,
        credential: str | Omit = OMIT,
        gate: str | Omit = OMIT,
        host: str | Omit = OMIT,
        method: str | Omit = OMIT,
        path: str | Omit = OMIT,
        permission: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        token_id: str | Omit = OMIT,
    ) -> Envelope[t.Explanation]:
        """Would this be allowed, which rule decides, and what would have to change. `POST /api/v1/auth/explain`"""
        credential = hide(credential)
        return await self._core.call(
            "POST /api/v1/auth/explain",
            t.Explanation,
            body={
                "address": address,
                "credential": credential,
                "gate": gate,
                "host": host,
                "method": method,
                "path": path,
                "permission": permission,
                "realm_id": realm_id,
                "token_id": token_id,
            },
        )

class Authentication:
    """`client.authentication`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def login(
        self,
        *,
        password: str,
        client: str | Omit = OMIT,
        code_challenge: str | Omit = OMIT,
        email: str | Omit = OMIT,
        response_mode: str | Omit = OMIT,
        username: str | Omit = OMIT,
    ) -> Envelope[t.LoginAnswer]:
        """Signs in with a name or an e-mail address and a password. `POST /api/v1/users/auth/login`"""
        password = hide(password)
        return await self._core.call(
            "POST /api/v1/users/auth/login",
            t.LoginAnswer,
            body={
                "password": password,
                "client": client,
                "code_challenge": code_challenge,
                "email": email,
                "response_mode": response_mode,
                "username": username,
            },
            is_anonymous=True,
        )

    async def refresh_token(self, *, refresh_token: str) -> Envelope[t.RefreshData]:
        """Gets the next pair of tokens for a refresh token. `POST /api/v1/users/auth/refresh`"""
        refresh_token = hide(refresh_token)
        return await self._core.call(
            "POST /api/v1/users/auth/refresh",
            t.RefreshData,
            body={"refreshToken": refresh_token},
            is_anonymous=True,
        )

    async def logout(self) -> Envelope[None]:
        """Ends every session of the account; called with a token, it ends nothing. `POST
        /api/v1/users/auth/logout`
        """
        return await self._core.call("POST /api/v1/users/auth/logout", None)

    async def get_current_user(self) -> Envelope[t.Profile]:
        """The caller's account. `GET /api/v1/users/auth/me`"""
        return await self._core.call("GET /api/v1/users/auth/me", t.Profile)

    async def get_current_user_alias(self) -> Envelope[t.Profile]:
        """The caller's account, under its other name. `GET /api/v1/users/me`"""
        return await self._core.call("GET /api/v1/users/me", t.Profile)

    async def signup(
        self,
        *,
        email: str,
        password: str,
        client: str | None | Omit = OMIT,
        invite_code: str | None | Omit = OMIT,
        region: str | None | Omit = OMIT,
    ) -> Envelope[t.SignedUp]:
        """Makes an account; nobody learns whether the address has one already. `POST /api/v1/auth/signup`"""
        password = hide(password)
        invite_code = hide(invite_code)
        return await self._core.call(
            "POST /api/v1/auth/signup",
            t.SignedUp,
            body={
                "email": email,
                "password": password,
                "client": client,
                "invite_code": invite_code,
                "region": region,
            },
            is_anonymous=True,
        )

    async def verify_email(
        self,
        *,
        token: str,
        client: str | None | Omit = OMIT,
        code_challenge: str | None | Omit = OMIT,
        password: str | Omit = OMIT,
        response_mode: str | Omit = OMIT,
    ) -> Envelope[t.LoginAnswer]:
        """Proves an address with the token of a mail, and signs in with the password of that sign-up. `POST
        /api/v1/auth/verify-email`
        """
        token = hide(token)
        password = hide(password)
        return await self._core.call(
            "POST /api/v1/auth/verify-email",
            t.LoginAnswer,
            body={
                "token": token,
                "client": client,
                "code_challenge": code_challenge,
                "password": password,
                "response_mode": response_mode,
            },
            is_anonymous=True,
        )

    async def resend_verification(self, *, email: str) -> Envelope[None]:
        """Asks for another verification mail. `POST /api/v1/auth/resend-verification`"""
        return await self._core.call(
            "POST /api/v1/auth/resend-verification",
            None,
            body={"email": email},
            is_anonymous=True,
        )

    async def forgot_password(self, *, email: str) -> Envelope[None]:
        """Asks for a mail to set a new password. `POST /api/v1/auth/forgot-password`"""
        return await self._core.call(
            "POST /api/v1/auth/forgot-password",
            None,
            body={"email": email},
            is_anonymous=True,
        )

    async def reset_password(
        self,
        *,
        password: str,
        token: str,
        end_tokens: bool | Omit = OMIT,
    ) -> Envelope[t.PasswordReset]:
        """Sets a new password with the token of a mail; every session of the account ends, and its tokens if
        asked. `POST /api/v1/auth/reset-password`
        """
        password = hide(password)
        token = hide(token)
        return await self._core.call(
            "POST /api/v1/auth/reset-password",
            t.PasswordReset,
            body={"password": password, "token": token, "end_tokens": end_tokens},
            is_anonymous=True,
        )

    async def get_available_regions(self) -> Envelope[t.Regions]:
        """Where accounts can be: a self-hosted server has no regions. `GET /api/v1/auth/available-regions`"""
        return await self._core.call("GET /api/v1/auth/available-regions", t.Regions, is_anonymous=True)

    async def get_oauth_config(self) -> Envelope[t.AuthConfig]:
        """What a sign-in page needs to know. `GET /api/v1/auth/config`"""
        return await self._core.call("GET /api/v1/auth/config", t.AuthConfig, is_anonymous=True)

    async def oauth_authorize(
        self,
        auth_intent_token: str,
        *,
        code_challenge: str,
        redirect_uri: str,
    ) -> Envelope[t.AuthorizationCode]:
        """Turns an intent into a code for a page that the server knows; once. `POST /api/v1/auth/authorize`"""
        auth_intent_token = hide(auth_intent_token)
        return await self._core.call(
            "POST /api/v1/auth/authorize",
            t.AuthorizationCode,
            token=auth_intent_token,
            body={"code_challenge": code_challenge, "redirect_uri": redirect_uri},
        )

    async def oauth_exchange(
        self,
        *,
        code: str,
        code_verifier: str,
        redirect_uri: str,
    ) -> Envelope[t.LoginData]:
        """Gets the session that a code is for; once, and only with the verifier. `POST /api/v1/auth/exchange`"""
        code = hide(code)
        code_verifier = hide(code_verifier)
        return await self._core.call(
            "POST /api/v1/auth/exchange",
            t.LoginData,
            body={"code": code, "code_verifier": code_verifier, "redirect_uri": redirect_uri},
            is_anonymous=True,
        )

    async def oauth_cancel_intent(self, intent_or_temp_token: str) -> None:
        """Gives an intent up, or the temporary token of a login; that it is gone already makes no difference.
        `POST /api/v1/auth/intent/cancel`
        """
        intent_or_temp_token = hide(intent_or_temp_token)
        return await self._core.call("POST /api/v1/auth/intent/cancel", None, token=intent_or_temp_token)

class Devices:
    """`client.devices`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def start(
        self,
        *,
        client: str | Omit = OMIT,
        client_name: str | Omit = OMIT,
        code_challenge: str | Omit = OMIT,
    ) -> Envelope[t.DeviceCode]:
        """Asks for a code that somebody can approve on another device. `POST /api/v1/auth/device/code`"""
        return await self._core.call(
            "POST /api/v1/auth/device/code",
            t.DeviceCode,
            body={"client": client, "client_name": client_name, "code_challenge": code_challenge},
            is_anonymous=True,
        )

    async def poll(self, *, device_code: str, code_verifier: str | Omit = OMIT) -> Envelope[t.LoginData]:
        """Asks whether somebody has signed in; the session, once, when somebody has. `POST
        /api/v1/auth/device/token`
        """
        device_code = hide(device_code)
        code_verifier = hide(code_verifier)
        return await self._core.call(
            "POST /api/v1/auth/device/token",
            t.LoginData,
            body={"device_code": device_code, "code_verifier": code_verifier},
            is_anonymous=True,
        )

    async def verify_code(self, *, user_code: str) -> Envelope[t.UserCodeAnswer]:
        """Says what a user code is for; while it waits, with a ticket and a cookie for signing in. `POST
        /api/v1/auth/device/verify_code`
        """
        return await self._core.call(
            "POST /api/v1/auth/device/verify_code",
            t.UserCodeAnswer,
            body={"user_code": user_code},
            is_anonymous=True,
        )

    async def login(
        self,
        *,
        password: str,
        ticket: str,
        email: str | Omit = OMIT,
        username: str | Omit = OMIT,
    ) -> Envelope[t.DeviceLoginAnswer]:
        """Approves the request of a device by signing in; the session goes to the device alone. `POST
        /api/v1/auth/device/login`
        """
        password = hide(password)
        ticket = hide(ticket)
        return await self._core.call(
            "POST /api/v1/auth/device/login",
            t.DeviceLoginAnswer,
            body={"password": password, "ticket": ticket, "email": email, "username": username},
            is_anonymous=True,
        )

    async def deny(self, *, ticket: str) -> Envelope[t.DeviceStatus]:
        """Refuses the request of a device. `POST /api/v1/auth/device/deny`"""
        ticket = hide(ticket)
        return await self._core.call(
            "POST /api/v1/auth/device/deny",
            t.DeviceStatus,
            body={"ticket": ticket},
            is_anonymous=True,
        )

class Tfa:
    """`client.tfa`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def verify(
        self,
        *,
        code: str,
        client: str | Omit = OMIT,
        response_mode: str | Omit = OMIT,
        temp_token: str | Omit = OMIT,
    ) -> Envelope[t.VerifyAnswer]:
        """The second half of signing in: a code, and the token that the login gave. `POST
        /api/v1/users/auth/2fa/verify`
        """
        code = hide(code)
        temp_token = hide(temp_token)
        return await self._core.call(
            "POST /api/v1/users/auth/2fa/verify",
            t.VerifyAnswer,
            body={"code": code, "client": client, "response_mode": response_mode, "temp_token": temp_token},
            is_anonymous=True,
        )

    async def setup(self, *, password: str) -> Envelope[t.TwoFactorSetup]:
        """Shows a new secret and backup codes; nothing is in force until a code is shown to `verify-setup`.
        `POST /api/v1/users/auth/2fa/setup`
        """
        password = hide(password)
        return await self._core.call(
            "POST /api/v1/users/auth/2fa/setup",
            t.TwoFactorSetup,
            body={"password": password},
        )

    async def verify_setup(self, *, code: str) -> Envelope[t.EnabledTwoFactor]:
        """Turns the second factor on by the first code; every session ends, and the answer has a new one. `POST
        /api/v1/users/auth/2fa/verify-setup`
        """
        code = hide(code)
        return await self._core.call(
            "POST /api/v1/users/auth/2fa/verify-setup",
            t.EnabledTwoFactor,
            body={"code": code},
        )

    async def get_status(self) -> Envelope[t.TwoFactorStatus]:
        """How the second factor stands. `GET /api/v1/users/auth/2fa/status`"""
        return await self._core.call("GET /api/v1/users/auth/2fa/status", t.TwoFactorStatus)

    async def disable(self, *, code: str, password: str) -> Envelope[t.EndedSessions]:
        """Turns the second factor off; every session ends, and the answer has a new one. `DELETE
        /api/v1/users/auth/2fa`
        """
        code = hide(code)
        password = hide(password)
        return await self._core.call(
            "DELETE /api/v1/users/auth/2fa",
            t.EndedSessions,
            body={"code": code, "password": password},
            is_once=True,
        )

    async def regenerate_backup_codes(self, *, code: str, password: str) -> Envelope[t.BackupCodes]:
        """Replaces the backup codes. `POST /api/v1/users/auth/2fa/backup-codes/regenerate`"""
        code = hide(code)
        password = hide(password)
        return await self._core.call(
            "POST /api/v1/users/auth/2fa/backup-codes/regenerate",
            t.BackupCodes,
            body={"code": code, "password": password},
        )

    async def set_token_gate(
        self,
        *,
        enabled: bool,
        otp_code: str | Omit = OMIT,
        password: str | Omit = OMIT,
    ) -> Envelope[t.TokenGateState]:
        """Says whether sessions need a code to make and change tokens; turning that off takes password and code.
        `PUT /api/v1/users/auth/2fa/token-gate`
        """
        otp_code = hide(otp_code)
        password = hide(password)
        return await self._core.call(
            "PUT /api/v1/users/auth/2fa/token-gate",
            t.TokenGateState,
            body={"enabled": enabled, "otp_code": otp_code, "password": password},
            is_once=True,
        )

class Realms:
    """`client.realms`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(self, *, include_usage: bool | Omit = OMIT) -> AsyncPage[t.RealmList, str]:
        """The realms that the account's projects and tokens carry; on a realm's host, that one. Await it for one
        page, or iterate it for all. `GET /api/v1/realms`
        """
        return self._core.list(
            "GET /api/v1/realms",
            t.RealmList,
            dict(style="whole", items="data.realm_ids"),
            query={"include_usage": include_usage},
        )

class Projects:
    """`client.projects`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        sort_by: str | Omit = OMIT,
        sort_order: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
    ) -> AsyncPage[t.ProjectList, t.Project]:
        """One's own projects and those shared with one, a page at a time. Await it for one page, or iterate it
        for all. `GET /api/v1/projects`
        """
        return self._core.list(
            "GET /api/v1/projects",
            t.ProjectList,
            dict(style="page", items="data.projects", pages="data.pagination.totalPages"),
            query={
                "page": page,
                "limit": limit,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "realm_id": realm_id,
            },
        )

    async def create(
        self,
        *,
        alias: str,
        color: str | Omit = OMIT,
        max_containers: int | None | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
    ) -> Envelope[t.Project]:
        """Makes a project; on a realm's host it belongs to that realm. `POST /api/v1/projects`"""
        return await self._core.call(
            "POST /api/v1/projects",
            t.Project,
            body={"alias": alias, "color": color, "max_containers": max_containers, "realm_ids": realm_ids},
        )

    async def get(self, id: str, *, include_permissions: bool | Omit = OMIT) -> Envelope[t.Project]:
        """One project. `GET /api/v1/projects/{id}`"""
        return await self._core.call(
            "GET /api/v1/projects/{id}",
            t.Project,
            args=(id,),
            query={"include_permissions": include_permissions},
        )

    async def update(
        self,
        id: str,
        *,
        alias: str | Omit = OMIT,
        color: str | Omit = OMIT,
        max_containers: int | None | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
    ) -> Envelope[t.Project]:
        """Changes a project; what is left out stays as it is. `PUT /api/v1/projects/{id}`"""
        return await self._core.call(
            "PUT /api/v1/projects/{id}",
            t.Project,
            args=(id,),
            body={"alias": alias, "color": color, "max_containers": max_containers, "realm_ids": realm_ids},
        )

    async def delete(
        self,
        id: str,
        *,
        include_deleted_items: bool | Omit = OMIT,
    ) -> Envelope[t.DeletedProject]:
        """Deletes a project with everything in it. `DELETE /api/v1/projects/{id}`"""
        return await self._core.call(
            "DELETE /api/v1/projects/{id}",
            t.DeletedProject,
            args=(id,),
            query={"include_deleted_items": include_deleted_items},
        )

    async def get_stats(self, id: str) -> Envelope[t.ProjectStats]:
        """How many containers a project has. `GET /api/v1/projects/{id}/stats`"""
        return await self._core.call("GET /api/v1/projects/{id}/stats", t.ProjectStats, args=(id,))

    def list_permissions(
        self,
        id: str,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        sort_by: str | Omit = OMIT,
        sort_order: str | Omit = OMIT,
    ) -> AsyncPage[t.PermissionList, t.ProjectMember]:
        """Who else may reach a project, a page at a time. Await it for one page, or iterate it for all. `GET
        /api/v1/projects/{id}/permissions`
        """
        return self._core.list(
            "GET /api/v1/projects/{id}/permissions",
            t.PermissionList,
            dict(style="page", items="data.permissions", pages="data.pagination.totalPages"),
            args=(id,),
            query={"page": page, "limit": limit, "sort_by": sort_by, "sort_order": sort_order},
        )

    async def add_permission(
        self,
        id: str,
        *,
        permission_level: t.PermissionLevel,
        user_id: str,
    ) -> Envelope[t.ProjectMember]:
        """Shares a project with another account. `POST /api/v1/projects/{id}/permissions`"""
        return await self._core.call(
            "POST /api/v1/projects/{id}/permissions",
            t.ProjectMember,
            args=(id,),
            body={"permission_level": permission_level, "user_id": user_id},
        )

    async def update_permission(
        self,
        id: str,
        permission_id: str,
        *,
        permission_level: t.PermissionLevel,
    ) -> Envelope[t.ProjectMember]:
        """Changes what another account may do with a project. `PUT
        /api/v1/projects/{id}/permissions/{permission_id}`
        """
        return await self._core.call(
            "PUT /api/v1/projects/{id}/permissions/{permission_id}",
            t.ProjectMember,
            args=(id, permission_id,),
            body={"permission_level": permission_level},
        )

    async def remove_permission(self, id: str, permission_id: str) -> Envelope[None]:
        """Ends the sharing of a project with another account. `DELETE
        /api/v1/projects/{id}/permissions/{permission_id}`
        """
        return await self._core.call(
            "DELETE /api/v1/projects/{id}/permissions/{permission_id}",
            None,
            args=(id, permission_id,),
        )

class Containers:
    """`client.containers`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        sort_by: str | Omit = OMIT,
        sort_order: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        include_deleting: bool | Omit = OMIT,
        include_expired: bool | Omit = OMIT,
        include_prespawn: bool | Omit = OMIT,
        include_proxy_domains: bool | Omit = OMIT,
        include_proxy_permissions: bool | Omit = OMIT,
        runtime: str | Omit = OMIT,
    ) -> AsyncPage[t.ContainerList, t.Container]:
        """Containers of one's own projects and of those shared with one, a page at a time. Await it for one
        page, or iterate it for all. `GET /api/v1/containers`
        """
        return self._core.list(
            "GET /api/v1/containers",
            t.ContainerList,
            dict(style="page", items="data.containers", pages="data.pagination.totalPages"),
            query={
                "page": page,
                "limit": limit,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "realm_id": realm_id,
                "include_deleting": include_deleting,
                "include_expired": include_expired,
                "include_prespawn": include_prespawn,
                "include_proxy_domains": include_proxy_domains,
                "include_proxy_permissions": include_proxy_permissions,
                "runtime": runtime,
            },
        )

    def list_by_project(
        self,
        id: str,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        sort_by: str | Omit = OMIT,
        sort_order: str | Omit = OMIT,
        include_deleting: bool | Omit = OMIT,
        include_prespawn: bool | Omit = OMIT,
        include_proxy_domains: bool | Omit = OMIT,
        include_proxy_permissions: bool | Omit = OMIT,
        runtime: str | Omit = OMIT,
    ) -> AsyncPage[t.ContainerList, t.Container]:
        """Containers of a project, a page at a time. Await it for one page, or iterate it for all. `GET
        /api/v1/projects/{id}/containers`
        """
        return self._core.list(
            "GET /api/v1/projects/{id}/containers",
            t.ContainerList,
            dict(style="page", items="data.containers", pages="data.pagination.totalPages"),
            args=(id,),
            query={
                "page": page,
                "limit": limit,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "include_deleting": include_deleting,
                "include_prespawn": include_prespawn,
                "include_proxy_domains": include_proxy_domains,
                "include_proxy_permissions": include_proxy_permissions,
                "runtime": runtime,
            },
        )

    async def create(
        self,
        id: str,
        *,
        server_id: str,
        ai: bool | Omit = OMIT,
        autostart: bool | Omit = OMIT,
        color: str | Omit = OMIT,
        comment: str | None | Omit = OMIT,
        container_image: str | None | Omit = OMIT,
        dev_kit: bool | Omit = OMIT,
        environment_vars: Mapping[str, str] | Omit = OMIT,
        hoody_kit: bool | Omit = OMIT,
        name: str | Omit = OMIT,
        ramdisk: bool | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
        ssh_public_key: str | None | Omit = OMIT,
    ) -> Envelope[t.Container]:
        """Makes a container in a project; it is `creating` until the engine runs it. `POST
        /api/v1/projects/{id}/containers`
        """
        return await self._core.call(
            "POST /api/v1/projects/{id}/containers",
            t.Container,
            args=(id,),
            body={
                "server_id": server_id,
                "ai": ai,
                "autostart": autostart,
                "color": color,
                "comment": comment,
                "container_image": container_image,
                "dev_kit": dev_kit,
                "environment_vars": environment_vars,
                "hoody_kit": hoody_kit,
                "name": name,
                "ramdisk": ramdisk,
                "realm_ids": realm_ids,
                "ssh_public_key": ssh_public_key,
            },
        )

    async def get(
        self,
        id: str,
        *,
        include_proxy_domains: bool | Omit = OMIT,
        include_proxy_permissions: bool | Omit = OMIT,
        runtime: str | Omit = OMIT,
    ) -> Envelope[t.Container]:
        """One container. `GET /api/v1/containers/{id}`"""
        return await self._core.call(
            "GET /api/v1/containers/{id}",
            t.Container,
            args=(id,),
            query={
                "include_proxy_domains": include_proxy_domains,
                "include_proxy_permissions": include_proxy_permissions,
                "runtime": runtime,
            },
        )

    async def update(
        self,
        id: str,
        *,
        ai: bool | Omit = OMIT,
        autostart: bool | Omit = OMIT,
        color: str | Omit = OMIT,
        comment: str | None | Omit = OMIT,
        environment_vars: Mapping[str, str] | Omit = OMIT,
        name: str | Omit = OMIT,
        ramdisk: bool | Omit = OMIT,
        ramdisk_scope: str | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
        ssh_public_key: str | None | Omit = OMIT,
    ) -> Envelope[t.Container]:
        """Changes a container; fields that are left out keep their values. `PUT /api/v1/containers/{id}`"""
        return await self._core.call(
            "PUT /api/v1/containers/{id}",
            t.Container,
            args=(id,),
            body={
                "ai": ai,
                "autostart": autostart,
                "color": color,
                "comment": comment,
                "environment_vars": environment_vars,
                "name": name,
                "ramdisk": ramdisk,
                "ramdisk_scope": ramdisk_scope,
                "realm_ids": realm_ids,
                "ssh_public_key": ssh_public_key,
            },
        )

    async def delete(self, id: str) -> Envelope[None]:
        """Deletes a container with its snapshots. `DELETE /api/v1/containers/{id}`"""
        return await self._core.call("DELETE /api/v1/containers/{id}", None, args=(id,))

    async def start(self, id: str) -> Envelope[t.ContainerOperation]:
        """Starts a container. `POST /api/v1/containers/{id}/start`"""
        return await self._core.call("POST /api/v1/containers/{id}/start", t.ContainerOperation, args=(id,))

    async def stop(self, id: str) -> Envelope[t.ContainerOperation]:
        """Stops a container; its processes have ten seconds to end. `POST /api/v1/containers/{id}/stop`"""
        return await self._core.call("POST /api/v1/containers/{id}/stop", t.ContainerOperation, args=(id,))

    async def force_stop(self, id: str) -> Envelope[t.ContainerOperation]:
        """Kills a container's processes. `POST /api/v1/containers/{id}/force-stop`"""
        return await self._core.call(
            "POST /api/v1/containers/{id}/force-stop",
            t.ContainerOperation,
            args=(id,),
        )

    async def restart(self, id: str) -> Envelope[t.ContainerOperation]:
        """Stops and starts a container. `POST /api/v1/containers/{id}/restart`"""
        return await self._core.call("POST /api/v1/containers/{id}/restart", t.ContainerOperation, args=(id,))

    async def get_stats(self, id: str) -> Envelope[t.ContainerStats]:
        """A container's use of its server. `GET /api/v1/containers/{id}/stats`"""
        return await self._core.call("GET /api/v1/containers/{id}/stats", t.ContainerStats, args=(id,))

    async def get_env(self, id: str) -> Envelope[t.ContainerEnvironment]:
        """A container's environment. `GET /api/v1/containers/{id}/env`"""
        return await self._core.call("GET /api/v1/containers/{id}/env", t.ContainerEnvironment, args=(id,))

    async def set_env_variable(self, id: str, key: str, *, value: str) -> Envelope[t.ContainerEnvironment]:
        """Sets one variable. `PUT /api/v1/containers/{id}/env/{key}`"""
        return await self._core.call(
            "PUT /api/v1/containers/{id}/env/{key}",
            t.ContainerEnvironment,
            args=(id, key,),
            body={"value": value},
        )

    async def delete_env_variable(self, id: str, key: str) -> Envelope[t.ContainerEnvironment]:
        """Removes one variable; one that is not set counts as removed. `DELETE
        /api/v1/containers/{id}/env/{key}`
        """
        return await self._core.call(
            "DELETE /api/v1/containers/{id}/env/{key}",
            t.ContainerEnvironment,
            args=(id, key,),
        )

    def list_snapshots(self, id: str) -> AsyncPage[t.SnapshotList, t.Snapshot]:
        """The snapshots of a container, the newest first. Await it for one page, or iterate it for all. `GET
        /api/v1/containers/{id}/snapshots`
        """
        return self._core.list(
            "GET /api/v1/containers/{id}/snapshots",
            t.SnapshotList,
            dict(style="whole", items="data.snapshots"),
            args=(id,),
        )

    async def create_snapshot(
        self,
        id: str,
        *,
        alias: str | Omit = OMIT,
        expiry: int | Omit = OMIT,
    ) -> Envelope[t.CreatedSnapshot]:
        """Makes a snapshot. `POST /api/v1/containers/{id}/snapshots`"""
        return await self._core.call(
            "POST /api/v1/containers/{id}/snapshots",
            t.CreatedSnapshot,
            args=(id,),
            body={"alias": alias, "expiry": expiry},
        )

    async def restore_snapshot(self, id: str, name: str) -> Envelope[t.RestoredSnapshot]:
        """Restores a container from a snapshot: what was written since is lost. `PUT
        /api/v1/containers/{id}/snapshots/{name}`
        """
        return await self._core.call(
            "PUT /api/v1/containers/{id}/snapshots/{name}",
            t.RestoredSnapshot,
            args=(id, name,),
            is_once=True,
        )

    async def rename_snapshot(
        self,
        id: str,
        name: str,
        *,
        alias: str | None | Omit = OMIT,
    ) -> Envelope[t.CreatedSnapshot]:
        """Renames a snapshot for people; its generated name stays. `PUT
        /api/v1/containers/{id}/snapshots/{name}/alias`
        """
        return await self._core.call(
            "PUT /api/v1/containers/{id}/snapshots/{name}/alias",
            t.CreatedSnapshot,
            args=(id, name,),
            body={"alias": alias},
        )

    async def delete_snapshot(self, id: str, name: str) -> Envelope[t.DeletedSnapshot]:
        """Deletes a snapshot. `DELETE /api/v1/containers/{id}/snapshots/{name}`"""
        return await self._core.call(
            "DELETE /api/v1/containers/{id}/snapshots/{name}",
            t.DeletedSnapshot,
            args=(id, name,),
        )

    async def pause(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/pause`"""
        return await self._core.call("POST /api/v1/containers/{id}/pause", None, args=(id,))

    async def resume(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/resume`"""
        return await self._core.call("POST /api/v1/containers/{id}/resume", None, args=(id,))

    async def copy(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/copy`"""
        return await self._core.call("POST /api/v1/containers/{id}/copy", None, args=(id,))

    async def sync(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/sync`"""
        return await self._core.call("POST /api/v1/containers/{id}/sync", None, args=(id,))

    async def set_kvm(self, id: str) -> Envelope[None]:
        """Not supported. `PUT /api/v1/containers/{id}/kvm`"""
        return await self._core.call("PUT /api/v1/containers/{id}/kvm", None, args=(id,))

    async def get_network(self, id: str) -> Envelope[None]:
        """Not supported. `GET /api/v1/containers/{id}/network`"""
        return await self._core.call("GET /api/v1/containers/{id}/network", None, args=(id,))

    async def set_network(self, id: str) -> Envelope[None]:
        """Not supported. `PUT /api/v1/containers/{id}/network`"""
        return await self._core.call("PUT /api/v1/containers/{id}/network", None, args=(id,))

    async def delete_network(self, id: str) -> Envelope[None]:
        """Not supported. `DELETE /api/v1/containers/{id}/network`"""
        return await self._core.call("DELETE /api/v1/containers/{id}/network", None, args=(id,))

    async def start_network(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/network/start`"""
        return await self._core.call("POST /api/v1/containers/{id}/network/start", None, args=(id,))

    async def stop_network(self, id: str) -> Envelope[None]:
        """Not supported. `POST /api/v1/containers/{id}/network/stop`"""
        return await self._core.call("POST /api/v1/containers/{id}/network/stop", None, args=(id,))

    async def list_status_logs(self, id: str) -> Envelope[None]:
        """Not supported. `GET /api/v1/containers/{id}/status-logs`"""
        return await self._core.call("GET /api/v1/containers/{id}/status-logs", None, args=(id,))

class ProxyPermissions:
    """`client.proxy_permissions`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def set_project_default(self, id: str, *, default: str) -> Envelope[t.ProxyDefault]:
        """Opens or closes the terminals of a project's containers. `PUT
        /api/v1/projects/{id}/proxy/permissions/default`
        """
        return await self._core.call(
            "PUT /api/v1/projects/{id}/proxy/permissions/default",
            t.ProxyDefault,
            args=(id,),
            body={"default": default},
        )

    async def set_container_default(self, id: str, *, default: str) -> Envelope[t.ProxyDefault]:
        """Opens or closes a container's terminals. `PUT /api/v1/containers/{id}/proxy/permissions/default`"""
        return await self._core.call(
            "PUT /api/v1/containers/{id}/proxy/permissions/default",
            t.ProxyDefault,
            args=(id,),
            body={"default": default},
        )

class Vault:
    """`client.vault`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get_stats(self, *, realm_id: str | Omit = OMIT) -> Envelope[t.VaultStats]:
        """How full the vault is: this realm, and the limit of all together. `GET /api/v1/vault/stats`"""
        return await self._core.call("GET /api/v1/vault/stats", t.VaultStats, query={"realm_id": realm_id})

    def list(self, *, realm_id: str | Omit = OMIT) -> AsyncPage[builtins.list[t.VaultKey], t.VaultKey]:
        """Every key in the realm, without its value; a long list is sent as it is read. Await it for one page,
        or iterate it for all. `GET /api/v1/vault/keys`
        """
        return self._core.list(
            "GET /api/v1/vault/keys",
            list[t.VaultKey],
            dict(style="whole", items="data"),
            query={"realm_id": realm_id},
            is_large=True,
        )

    async def get(self, key: str, *, realm_id: str | Omit = OMIT) -> Envelope[t.VaultRecord]:
        """One key with its value. `GET /api/v1/vault/keys/{key}`"""
        return await self._core.call(
            "GET /api/v1/vault/keys/{key}",
            t.VaultRecord,
            args=(key,),
            query={"realm_id": realm_id},
            is_large=True,
        )

    async def set(
        self,
        key: str,
        *,
        value: str,
        metadata: Mapping[str, Any] | None | Omit = OMIT,
        realm_id: str | Omit = OMIT,
    ) -> Envelope[t.VaultRecord]:
        """Makes a key or sets it again; metadata that is left out stays as it is. `PUT /api/v1/vault/keys/{key}`"""
        value = hide(value)
        return await self._core.call(
            "PUT /api/v1/vault/keys/{key}",
            t.VaultRecord,
            args=(key,),
            body={"value": value, "metadata": metadata},
            query={"realm_id": realm_id},
            is_large=True,
        )

    async def delete(self, key: str, *, realm_id: str | Omit = OMIT) -> Envelope[None]:
        """Deletes a key. `DELETE /api/v1/vault/keys/{key}`"""
        return await self._core.call(
            "DELETE /api/v1/vault/keys/{key}",
            None,
            args=(key,),
            query={"realm_id": realm_id},
        )

    async def clear(self, *, realm_id: str | Omit = OMIT) -> Envelope[t.VaultCleared]:
        """Deletes every key in the realm. `DELETE /api/v1/vault`"""
        return await self._core.call(
            "DELETE /api/v1/vault",
            t.VaultCleared,
            query={"realm_id": realm_id},
            is_once=True,
        )

class Events(AsyncEvents):
    """`client.events`"""

    def __init__(self, core: AsyncCore) -> None:
        super().__init__(core)

    def list(
        self,
        *,
        limit: int | Omit = OMIT,
        offset: int | Omit = OMIT,
        sort_by: str | Omit = OMIT,
        sort_order: str | Omit = OMIT,
        event_type: str | Omit = OMIT,
        resource_type: str | Omit = OMIT,
        resource_id: str | Omit = OMIT,
        project_id: str | Omit = OMIT,
        container_id: str | Omit = OMIT,
        start_date: str | Omit = OMIT,
        end_date: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        after: str | Omit = OMIT,
        bootstrap: bool | Omit = OMIT,
    ) -> AsyncPage[t.EventList, t.Event]:
        """The history: by number with filters, or on from a cursor. Await it for one page, or iterate it for
        all. `GET /api/v1/events`
        """
        return self._core.list(
            "GET /api/v1/events",
            t.EventList,
            dict(style="events", items="data.events"),
            query={
                "limit": limit,
                "offset": offset,
                "sort_by": sort_by,
                "sort_order": sort_order,
                "event_type": event_type,
                "resource_type": resource_type,
                "resource_id": resource_id,
                "project_id": project_id,
                "container_id": container_id,
                "start_date": start_date,
                "end_date": end_date,
                "realm_id": realm_id,
                "after": after,
                "bootstrap": bootstrap,
            },
        )

    async def get_stats(
        self,
        *,
        start_date: str | Omit = OMIT,
        end_date: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
    ) -> Envelope[t.EventStats]:
        """How many events there are, by type and by kind of resource. `GET /api/v1/events/stats`"""
        return await self._core.call(
            "GET /api/v1/events/stats",
            t.EventStats,
            query={"start_date": start_date, "end_date": end_date, "realm_id": realm_id},
        )

    async def get(self, id: str) -> Envelope[t.Event]:
        """One event. `GET /api/v1/events/{id}`"""
        return await self._core.call("GET /api/v1/events/{id}", t.Event, args=(id,))

    async def delete(self, id: str) -> Envelope[t.DeletedEvents]:
        """Deletes one event; on a realm's host one that belongs to another realm too is left. `DELETE
        /api/v1/events/{id}`
        """
        return await self._core.call("DELETE /api/v1/events/{id}", t.DeletedEvents, args=(id,))

    async def bulk_delete(
        self,
        *,
        before_date: str | Omit = OMIT,
        event_type: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
        resource_id: str | Omit = OMIT,
        resource_type: str | Omit = OMIT,
    ) -> Envelope[t.DeletedEvents]:
        """Deletes the events that the body chooses; all of them when it chooses none. `DELETE /api/v1/events`"""
        return await self._core.call(
            "DELETE /api/v1/events",
            t.DeletedEvents,
            body={
                "before_date": before_date,
                "event_type": event_type,
                "realm_id": realm_id,
                "resource_id": resource_id,
                "resource_type": resource_type,
            },
            is_once=True,
        )

    async def cleanup(self, *, retention_days: int) -> Envelope[t.CleanedEvents]:
        """Deletes what is older than so many days. `POST /api/v1/events/cleanup`"""
        return await self._core.call(
            "POST /api/v1/events/cleanup",
            t.CleanedEvents,
            body={"retention_days": retention_days},
        )

class Activity:
    """`client.activity`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        page: int | Omit = OMIT,
        before: str | Omit = OMIT,
        limit: int | Omit = OMIT,
        start_date: str | Omit = OMIT,
        end_date: str | Omit = OMIT,
        errors_only: bool | Omit = OMIT,
        min_status: int | Omit = OMIT,
        max_status: int | Omit = OMIT,
        method: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
    ) -> AsyncPage[builtins.list[t.ActivityRow], t.ActivityRow]:
        """The account's requests, the latest first. Await it for one page, or iterate it for all. `GET
        /api/v1/users/auth/activity`
        """
        return self._core.list(
            "GET /api/v1/users/auth/activity",
            list[t.ActivityRow],
            dict(style="page", items="data", pages="metadata.pages"),
            query={
                "page": page,
                "before": before,
                "limit": limit,
                "start_date": start_date,
                "end_date": end_date,
                "errors_only": errors_only,
                "min_status": min_status,
                "max_status": max_status,
                "method": method,
                "realm_id": realm_id,
            },
        )

    async def get_stats(self) -> Envelope[t.ActivityStats]:
        """How much there is in the log. `GET /api/v1/users/auth/activity/stats`"""
        return await self._core.call("GET /api/v1/users/auth/activity/stats", t.ActivityStats)

class Users:
    """`client.users`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get(self, id: str) -> Envelope[t.UserProfile]:
        """An account: one's own. `GET /api/v1/users/{id}`"""
        return await self._core.call("GET /api/v1/users/{id}", t.UserProfile, args=(id,))

    async def update(
        self,
        id: str,
        *,
        alias: str | Omit = OMIT,
        current_password: str | Omit = OMIT,
        metadata: Mapping[str, Any] | None | Omit = OMIT,
        password: str | Omit = OMIT,
        public_key: str | None | Omit = OMIT,
    ) -> Envelope[t.User]:
        """Changes one's own account; a new password ends every session. `PUT /api/v1/users/{id}`"""
        current_password = hide(current_password)
        password = hide(password)
        return await self._core.call(
            "PUT /api/v1/users/{id}",
            t.User,
            args=(id,),
            body={
                "alias": alias,
                "current_password": current_password,
                "metadata": metadata,
                "password": password,
                "public_key": public_key,
            },
            is_once=True,
        )

    def get_security_history(
        self,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        include_failed: bool | Omit = OMIT,
        include_security: bool | Omit = OMIT,
    ) -> AsyncPage[builtins.list[t.SecurityEvent], t.SecurityEvent]:
        """What happened to the caller's account, the latest first; kept 180 days. Await it for one page, or
        iterate it for all. `GET /api/v1/users/me/security-history`
        """
        return self._core.list(
            "GET /api/v1/users/me/security-history",
            list[t.SecurityEvent],
            dict(style="page", items="data", pages="metadata.pages"),
            query={
                "page": page,
                "limit": limit,
                "include_failed": include_failed,
                "include_security": include_security,
            },
        )

class Alerts:
    """`client.alerts`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(
        self,
        *,
        page: int | Omit = OMIT,
        limit: int | Omit = OMIT,
        kind: str | Omit = OMIT,
        state: str | Omit = OMIT,
        subject_id: str | Omit = OMIT,
        start_date: str | Omit = OMIT,
        end_date: str | Omit = OMIT,
        realm_id: str | Omit = OMIT,
    ) -> AsyncPage[builtins.list[t.Alert], t.Alert]:
        """The account's alerts, the latest first. Await it for one page, or iterate it for all. `GET
        /api/v1/alerts`
        """
        return self._core.list(
            "GET /api/v1/alerts",
            list[t.Alert],
            dict(style="page", items="data", pages="metadata.pages"),
            query={
                "page": page,
                "limit": limit,
                "kind": kind,
                "state": state,
                "subject_id": subject_id,
                "start_date": start_date,
                "end_date": end_date,
                "realm_id": realm_id,
            },
        )

    async def get(self, id: str) -> Envelope[t.Alert]:
        """One alert. `GET /api/v1/alerts/{id}`"""
        return await self._core.call("GET /api/v1/alerts/{id}", t.Alert, args=(id,))

    async def acknowledge(self, id: str) -> Envelope[t.Alert]:
        """Says that somebody takes care of an alert. `POST /api/v1/alerts/{id}/acknowledge`"""
        return await self._core.call("POST /api/v1/alerts/{id}/acknowledge", t.Alert, args=(id,))

    async def dismiss(self, id: str) -> Envelope[t.Alert]:
        """Says that an alert is nothing. `POST /api/v1/alerts/{id}/dismiss`"""
        return await self._core.call("POST /api/v1/alerts/{id}/dismiss", t.Alert, args=(id,))

    async def list_settings(self) -> Envelope[builtins.list[t.AlertSetting]]:
        """Every kind of alerts, what it means, and what the account wants of it. `GET /api/v1/alerts/settings`"""
        return await self._core.call("GET /api/v1/alerts/settings", list[t.AlertSetting])

    async def update_setting(
        self,
        kind: str,
        *,
        disables: bool | Omit = OMIT,
        is_enabled: bool | Omit = OMIT,
        mail: bool | Omit = OMIT,
        muted_until: str | None | Omit = OMIT,
        threshold: int | Omit = OMIT,
        webhook: bool | Omit = OMIT,
    ) -> Envelope[t.AlertSetting]:
        """Changes what the account wants of a kind of alerts; what is left out stays as it is. `PUT
        /api/v1/alerts/settings/{kind}`
        """
        return await self._core.call(
            "PUT /api/v1/alerts/settings/{kind}",
            t.AlertSetting,
            args=(kind,),
            body={
                "disables": disables,
                "is_enabled": is_enabled,
                "mail": mail,
                "muted_until": muted_until,
                "threshold": threshold,
                "webhook": webhook,
            },
        )

class Tokens:
    """`client.tokens`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def verify(
        self,
        *,
        credentials: Sequence[t.VerifyItem],
        dry: bool | Omit = OMIT,
    ) -> Envelope[builtins.list[t.Verified]]:
        """What each of these credentials may do: one answer for each, in their order. `POST /api/v1/auth/verify`"""
        return await self._core.call(
            "POST /api/v1/auth/verify",
            list[t.Verified],
            body={"credentials": credentials, "dry": dry},
        )

class Gates:
    """`client.gates`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(self) -> AsyncPage[builtins.list[t.GateSummary], t.GateSummary]:
        """The account's gates, by name. Await it for one page, or iterate it for all. `GET /api/v1/gates`"""
        return self._core.list("GET /api/v1/gates", list[t.GateSummary], dict(style="whole", items="data"))

    async def get(self, name: str) -> Envelope[t.Gate]:
        """One gate, as it was set. `GET /api/v1/gates/{name}`"""
        return await self._core.call("GET /api/v1/gates/{name}", t.Gate, args=(name,))

    async def set(
        self,
        name: str,
        *,
        hosts: Sequence[str],
        accounts: Any | Omit = OMIT,
        case: str | Omit = OMIT,
        log: str | Omit = OMIT,
        oauth: bool | Omit = OMIT,
        preflight: str | Omit = OMIT,
        realm: str | Omit = OMIT,
        route: Sequence[t.GateRoute] | Omit = OMIT,
        sessions: bool | Omit = OMIT,
        sign: bool | Omit = OMIT,
        strip: str | Omit = OMIT,
    ) -> Envelope[t.Gate]:
        """Sets the gate of this name, whole; a new one where there is none. `PUT /api/v1/gates/{name}`"""
        return await self._core.call(
            "PUT /api/v1/gates/{name}",
            t.Gate,
            args=(name,),
            body={
                "hosts": hosts,
                "accounts": accounts,
                "case": case,
                "log": log,
                "oauth": oauth,
                "preflight": preflight,
                "realm": realm,
                "route": route,
                "sessions": sessions,
                "sign": sign,
                "strip": strip,
            },
        )

    async def delete(self, name: str) -> Envelope[None]:
        """Deletes a gate; proxies that name it let nobody in. `DELETE /api/v1/gates/{name}`"""
        return await self._core.call("DELETE /api/v1/gates/{name}", None, args=(name,))

    async def test(
        self,
        name: str,
        *,
        method: str,
        path: str,
        address: str | Omit = OMIT,
        credential: str | Omit = OMIT,
        host: str | Omit = OMIT,
    ) -> Envelope[t.GateTest]:
        """What a gate would answer to a request, and why. `POST /api/v1/gates/{name}/test`"""
        credential = hide(credential)
        return await self._core.call(
            "POST /api/v1/gates/{name}/test",
            t.GateTest,
            args=(name,),
            body={"method": method, "path": path, "address": address, "credential": credential, "host": host},
        )

class Meta:
    """`client.meta`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get_public_keys(self) -> Envelope[t.PublicKeys]:
        """The keys that signatures of this server are verified with. `GET /api/v1/meta/public-key`"""
        return await self._core.call("GET /api/v1/meta/public-key", t.PublicKeys, is_anonymous=True)

class Webhooks:
    """`client.webhooks`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    def list(self) -> AsyncPage[builtins.list[t.Webhook], t.Webhook]:
        """The account's endpoints. Await it for one page, or iterate it for all. `GET /api/v1/webhooks`"""
        return self._core.list("GET /api/v1/webhooks", list[t.Webhook], dict(style="whole", items="data"))

    async def create(
        self,
        *,
        url: str,
        description: str | Omit = OMIT,
        event_types: Sequence[str] | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
    ) -> Envelope[t.Webhook]:
        """Makes an endpoint; its secret is shown this once. `POST /api/v1/webhooks`"""
        return await self._core.call(
            "POST /api/v1/webhooks",
            t.Webhook,
            body={"url": url, "description": description, "event_types": event_types, "realm_ids": realm_ids},
        )

    async def get(self, id: str) -> Envelope[t.Webhook]:
        """One endpoint. `GET /api/v1/webhooks/{id}`"""
        return await self._core.call("GET /api/v1/webhooks/{id}", t.Webhook, args=(id,))

    async def update(
        self,
        id: str,
        *,
        description: str | Omit = OMIT,
        event_types: Sequence[str] | Omit = OMIT,
        is_enabled: bool | Omit = OMIT,
        realm_ids: Sequence[str] | Omit = OMIT,
        url: str | Omit = OMIT,
    ) -> Envelope[t.Webhook]:
        """Changes an endpoint; what is left out stays as it is. `PUT /api/v1/webhooks/{id}`"""
        return await self._core.call(
            "PUT /api/v1/webhooks/{id}",
            t.Webhook,
            args=(id,),
            body={
                "description": description,
                "event_types": event_types,
                "is_enabled": is_enabled,
                "realm_ids": realm_ids,
                "url": url,
            },
        )

    async def delete(self, id: str) -> Envelope[None]:
        """Deletes an endpoint with its deliveries. `DELETE /api/v1/webhooks/{id}`"""
        return await self._core.call("DELETE /api/v1/webhooks/{id}", None, args=(id,))

    async def test(self, id: str) -> Envelope[t.WebhookDelivery]:
        """Sends an endpoint a message of the type `webhook.test`. `POST /api/v1/webhooks/{id}/test`"""
        return await self._core.call("POST /api/v1/webhooks/{id}/test", t.WebhookDelivery, args=(id,))

    async def rotate_secret(self, id: str) -> Envelope[t.Webhook]:
        """Gives an endpoint a new secret; for a day messages are signed with the one before, too. `POST
        /api/v1/webhooks/{id}/rotate-secret`
        """
        return await self._core.call("POST /api/v1/webhooks/{id}/rotate-secret", t.Webhook, args=(id,))

    def list_deliveries(
        self,
        id: str,
        *,
        state: str | Omit = OMIT,
        limit: int | Omit = OMIT,
        page: int | Omit = OMIT,
    ) -> AsyncPage[builtins.list[t.WebhookDelivery], t.WebhookDelivery]:
        """Deliveries to an endpoint, the latest first. Await it for one page, or iterate it for all. `GET
        /api/v1/webhooks/{id}/deliveries`
        """
        return self._core.list(
            "GET /api/v1/webhooks/{id}/deliveries",
            list[t.WebhookDelivery],
            dict(style="full", items="data"),
            args=(id,),
            query={"state": state, "limit": limit, "page": page},
        )

    async def replay_delivery(self, id: str, delivery_id: str) -> Envelope[t.WebhookDelivery]:
        """Sends a delivery again, under the same `webhook-id`. `POST
        /api/v1/webhooks/{id}/deliveries/{delivery_id}/replay`
        """
        return await self._core.call(
            "POST /api/v1/webhooks/{id}/deliveries/{delivery_id}/replay",
            t.WebhookDelivery,
            args=(id, delivery_id,),
        )

class Utilities:
    """`client.utilities`"""

    def __init__(self, core: AsyncCore) -> None:
        self._core = core

    async def get_ip_info(self) -> Envelope[t.IpInfo]:
        """What the server sees of its caller. `GET /api/v1/ip`"""
        return await self._core.call("GET /api/v1/ip", t.IpInfo, is_anonymous=True)

class Resources:
    """All resources of a client."""

    def __init__(self, core: AsyncCore) -> None:
        self.auth_tokens: AuthTokens = AuthTokens(core)
        self.permissions: Permissions = Permissions(core)
        self.authentication: Authentication = Authentication(core)
        self.devices: Devices = Devices(core)
        self.tfa: Tfa = Tfa(core)
        self.realms: Realms = Realms(core)
        self.projects: Projects = Projects(core)
        self.containers: Containers = Containers(core)
        self.proxy_permissions: ProxyPermissions = ProxyPermissions(core)
        self.vault: Vault = Vault(core)
        self.events: Events = Events(core)
        self.activity: Activity = Activity(core)
        self.users: Users = Users(core)
        self.alerts: Alerts = Alerts(core)
        self.tokens: Tokens = Tokens(core)
        self.gates: Gates = Gates(core)
        self.meta: Meta = Meta(core)
        self.webhooks: Webhooks = Webhooks(core)
        self.utilities: Utilities = Utilities(core)
