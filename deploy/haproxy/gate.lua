-- HAProxy asks hoody. Every answer but 200 is a refusal, and so is an error of this script.
local GATE = "http://127.0.0.1:8081/gate/auth?gate=65a1b2c3d4e5f60718293a4b"
-- HAProxy asks four times before it gives up: 2 s in all.
local TIMEOUT = 500
local IDENTITY = {
    "x-hoody-user-id", "x-hoody-token-id", "x-hoody-token-alias", "x-hoody-external-id", "x-hoody-realm",
    "x-hoody-permissions", "x-hoody-identity",
}
local TOLD = {
    ["www-authenticate"] = true, ["retry-after"] = true, ["content-type"] = true, ["x-hoody-code"] = true,
    ["ratelimit"] = true, ["ratelimit-policy"] = true,
}
-- Frameworks take another method, path or client from these than hoody judged.
local STRIPPED = {
    ["x-http-method-override"] = true, ["x-http-method"] = true, ["x-method-override"] = true,
    ["x-rewrite-url"] = true, ["x-original-url"] = true, ["x-original-uri"] = true, ["x-original-method"] = true,
    ["x-forwarded-uri"] = true, ["x-forwarded-method"] = true, ["x-forwarded-prefix"] = true,
    ["x-forwarded-for"] = true, ["x-forwarded-host"] = true, ["x-forwarded-proto"] = true, ["forwarded"] = true,
    ["x-real-ip"] = true,
}

local function refuse(txn, status, headers, body)
    local reply = txn:reply({ status = status })
    for name, values in pairs(headers or {}) do
        if TOLD[name] then
            for _, value in pairs(values) do reply:add_header(name, value) end
        end
    end
    reply:add_header("cache-control", "no-store")
    if body and #body < 8192 then reply:set_body(body) end
    txn:done(reply)
end

local function first(headers, name)
    return headers[name] and headers[name][0]
end

local function gate(txn)
    local http = txn.http
    local sent = http:req_get_headers()
    local headers = {
        ["host"] = { "gate" },
        ["x-forwarded-method"] = { txn.sf:method() },
        ["x-forwarded-uri"] = { txn.sf:pathq() },
        ["x-forwarded-host"] = { first(sent, "host") },
        ["x-forwarded-proto"] = { txn.f:ssl_fc() == 1 and "https" or "http" },
        ["x-forwarded-for"] = { txn.sf:src() },
    }
    -- The last two are for preflight = "pass".
    for _, name in ipairs({ "authorization", "origin", "access-control-request-method" }) do
        local value = first(sent, name)
        if value then headers[name] = { value } end
    end
    -- In every spelling that CGI and WSGI take for the same name: x_hoody_user_id, X~Hoody~User~Id.
    for name, _ in pairs(sent) do
        local plain = name:lower():gsub("[^%w]", "-")
        if plain:find("^x%-hoody%-") or STRIPPED[plain] then http:req_del_header(name) end
    end
    local ok, answer = pcall(function()
        return core.httpclient():get({ url = GATE, headers = headers, timeout = TIMEOUT })
    end)
    if not ok or not answer then return refuse(txn, 503) end
    local status = answer.status
    if status == 400 or status == 401 or status == 403 or status == 429 then
        return refuse(txn, status, answer.headers, answer.body)
    elseif status ~= 200 then
        return refuse(txn, 503)
    end
    for _, name in ipairs(IDENTITY) do
        local value = first(answer.headers, name)
        if value and value ~= "" then http:req_set_header(name, value) end
    end
end

core.register_action("gate", { "http-req" }, gate, 0)
