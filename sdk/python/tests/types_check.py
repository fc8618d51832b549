"""What the types accept and refuse: the server refuses the same. Checked by pyright, never run. An `ignore` that is not
needed is an error."""

from __future__ import annotations

from typing import assert_type

from hoody import AsyncHoody, Envelope, Hoody, Secret, types


class OrderLeaves(types.Permissions, total=False):
    """Leaves of one's own."""

    orders: dict[str, bool]


def accepted(client: Hoody) -> None:
    client.auth_tokens.create()
    tree: OrderLeaves = {"projects": {"read": True, "members": {"invite": True}}, "orders": {"refund": True}}
    made = client.auth_tokens.create(alias="ci", permissions=tree, expires_at=1767225599, ip_whitelist="*")
    assert_type(made, Envelope[types.CreatedToken])
    assert_type(made.data.token, Secret)
    client.auth_tokens.update(made.data.id, expires_at=None, is_enabled=False, permissions={"projects": {"read": True}})
    client.projects.create(alias="web", max_containers=None)
    answer = client.authentication.login(username="ada", password="…").data
    if isinstance(answer, types.Challenge):
        client.tfa.verify(code="123456", temp_token=answer.temp_token)
    elif isinstance(answer, types.LoginData):
        client.with_token(answer.token)
    for project in client.projects.list(limit=5):
        assert_type(project.alias, str)
    for event in client.events.stream(event_type="auth.token.*"):
        event.payload["alias"]


async def accepted_async(client: AsyncHoody) -> None:
    async for project in client.projects.list(limit=5):
        assert_type(project.alias, str)
    assert_type((await client.projects.list()).data, types.ProjectList)
    assert_type((await client.auth_tokens.get("x")).data.token, Secret | None)


def refused(client: Hoody) -> None:
    Hoody()  # pyright: ignore[reportCallIssue]
    client.auth_tokens.create(name="ci")  # pyright: ignore[reportCallIssue]
    client.auth_tokens.create(alias=5)  # pyright: ignore[reportArgumentType]
    client.auth_tokens.create(permissions={"projects": {"raed": True}})  # pyright: ignore[reportArgumentType]
    client.auth_tokens.create(permissions={"projects": True})  # pyright: ignore[reportArgumentType]
    client.auth_tokens.update("x", permission_template="read_only")  # pyright: ignore[reportCallIssue]
    client.auth_tokens.update("x", alias=None)  # pyright: ignore[reportArgumentType]
    client.auth_tokens.delete()  # pyright: ignore[reportCallIssue]
    client.projects.create()  # pyright: ignore[reportCallIssue]
    client.projects.add_permission("x", user_id="y", permission_level="admin")  # pyright: ignore[reportArgumentType]
    client.authentication.login(username="ada")  # pyright: ignore[reportCallIssue]
    client.projects.list(per_page=5)  # pyright: ignore[reportCallIssue]
    client.with_token(client.auth_tokens.get("x").data.token)  # pyright: ignore[reportArgumentType]
    _ = client.authentication.login(password="x").data.token  # pyright: ignore[reportAttributeAccessIssue]
