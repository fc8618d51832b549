"""The effect of each answer of a gate behind each proxy: whether the request gets in, and what the client sees."""

# For each answer, and no answer: the client's status by proxy. `in` is a request that reached the service.
# hoody says nothing but 200 and 400 or above; the rest is what another program at its address might say.
PROXIES = ("nginx", "haproxy", "traefik", "caddy", "envoy-http")
ANSWERS = {
    "ok": ("in", "in", "in", "in", "in"),
    "silent": ("in", "in", "in", "in", "in"),
    "twice": ("in", "in", "in", "in", "in"),
    "204": ("in", 503, "in", "in", 204),
    "205": ("in", 503, "in", "in", 205),
    "206": ("in", 503, "in", "in", 206),
    "299": ("in", 503, "in", "in", 299),
    "300": (503, 503, 300, 300, 300),
    "302": (503, 503, 302, 302, 302),
    "400": (400, 400, 400, 400, 400),
    "401": (401, 401, 401, 401, 401),
    "403": (403, 403, 403, 403, 403),
    "404": (503, 503, 404, 404, 404),
    "429": (429, 429, 429, 429, 429),
    "500": (503, 503, 500, 500, 503),
    "502": (503, 503, 502, 502, 503),
    "503": (503, 503, 503, 503, 503),
    "close": (503, 503, 500, 503, 503),
    "reset": (503, 503, 500, 503, 503),
    "garbage": (503, 503, 500, 503, 503),
    "half": (503, 503, 500, 503, 503),
    "big": (503, 503, "in", "in", "in"),
    "bigbody": (403, 403, 401, 403, 403),
    "slow": (503, 503, 500, 503, 503),
}
# Traefik alone has no setting for how long it waits for the gate: 30 s.
PATIENCE = {"traefik": 35.0}
# Headers that clients must get with a refusal.
TOLD = {
    "401": ("www-authenticate", "x-hoody-code"),
    "403": ("www-authenticate", "x-hoody-code"),
    "429": ("retry-after",),
}
