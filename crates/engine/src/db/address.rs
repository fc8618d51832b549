//! The address of a PostgreSQL server, read as libpq reads it.
//!
//! What cannot be kept is refused by name: a parameter that asks for safety and is passed over would leave the
//! operator with less than the address says.

use std::fmt::Write as _;
use std::path::Path;
use std::str::FromStr as _;

use sqlx::postgres::PgConnectOptions;

/// Parameters that are handed on as they are.
const KEPT: [&str; 13] = [
    "host",
    "hostaddr",
    "port",
    "user",
    "password",
    "dbname",
    "sslmode",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "application_name",
    "options",
    "statement-cache-capacity",
];
/// Parameters that ask for what this server does anyway, with the values that do.
const MET: [(&str, &[&str]); 16] = [
    // It takes nothing but a primary that can be written to.
    ("target_session_attrs", &["any", "read-write", "primary"]),
    ("load_balance_hosts", &["disable"]),
    ("channel_binding", &["disable", "prefer"]),
    ("gssencmode", &["disable", "prefer"]),
    ("sslnegotiation", &["postgres"]),
    ("sslcertmode", &["allow"]),
    ("sslcompression", &["0"]),
    ("sslsni", &["1"]),
    // TLS begins with 1.2 here.
    ("ssl_min_protocol_version", &["TLSv1", "TLSv1.1", "TLSv1.2"]),
    ("ssl_max_protocol_version", &["TLSv1.3"]),
    ("client_encoding", &["UTF8", "UTF-8", "utf8", "utf-8", "auto"]),
    ("replication", &["false", "off", "no", "0"]),
    ("requirepeer", &[]),
    ("require_auth", &[]),
    ("sslcrl", &[]),
    ("sslcrldir", &[]),
];
/// Parameters about how long is waited: a connection has a limit of its own here, which is shorter.
const PASSED_OVER: [&str; 7] = [
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
    "fallback_application_name",
];
/// Variables by which libpq is asked for safety, and the parameters that they stand for.
const VARIABLES: [(&str, &str); 12] = [
    ("PGTARGETSESSIONATTRS", "target_session_attrs"),
    ("PGCHANNELBINDING", "channel_binding"),
    ("PGGSSENCMODE", "gssencmode"),
    ("PGSSLNEGOTIATION", "sslnegotiation"),
    ("PGSSLCERTMODE", "sslcertmode"),
    ("PGSSLMINPROTOCOLVERSION", "ssl_min_protocol_version"),
    ("PGSSLMAXPROTOCOLVERSION", "ssl_max_protocol_version"),
    ("PGREQUIREPEER", "requirepeer"),
    ("PGREQUIREAUTH", "require_auth"),
    ("PGSSLCRL", "sslcrl"),
    ("PGSSLCRLDIR", "sslcrldir"),
    ("PGSERVICE", "service"),
];
const MODES: [&str; 6] = ["disable", "allow", "prefer", "require", "verify-ca", "verify-full"];
const UNREADABLE: &str = "the address cannot be read: in user, password and name of the database, write \
     /, ?, @, : and % as %2F, %3F, %40, %3A and %25";

/// Reads `postgres://…`. `variable` gives the environment's.
///
/// # Errors
/// A sentence that names the parameter. No value is repeated that could be a secret.
pub(super) fn parse(
    url: &str,
    variable: impl Fn(&str) -> Option<String>,
) -> Result<PgConnectOptions, String> {
    let mut parameters = read(url)?;
    for (name, parameter) in VARIABLES {
        if let Some(value) = variable(name)
            && parameters.find(parameter).is_none()
        {
            is_met(parameter, &value).map_err(|why| format!("{name}: {why}"))?;
        }
    }
    for (name, value) in parameters.0.iter().filter(|(name, _)| !is_handed_on(name)) {
        is_met(name, value)?;
    }
    if let Some(host) = parameters.find("host")
        && host.contains(',')
    {
        return Err(
            "several hosts are not supported: name the one address that leads to the primary".to_owned()
        );
    }
    secure(&mut parameters, &variable)?;
    let names = |parameter: &&(String, String)| is_handed_on(&parameter.0);
    let pairs: Vec<_> = parameters.0.iter().filter(names).map(|(name, value)| encode(name, value)).collect();
    PgConnectOptions::from_str(&format!("postgres:///?{}", pairs.join("&")))
        .map_err(|_| "the port, or another parameter of the address, cannot be read".to_owned())
}

fn is_handed_on(name: &str) -> bool {
    KEPT.contains(&name)
}

fn encode(name: &str, value: &str) -> String {
    value.bytes().fold(format!("{name}="), |mut text, byte| {
        let _ = write!(text, "%{byte:02X}");
        text
    })
}

/// Names and values, in order; the last of a name counts.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn find(&self, name: &str) -> Option<&str> {
        self.0.iter().rev().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
    }

    fn set(&mut self, name: &str, value: &str) {
        self.0.retain(|(given, _)| given != name);
        self.0.push((name.to_owned(), value.to_owned()));
    }
}

/// `scheme://[user[:password]@][host[:port]][/dbname][?name=value&…]`, where only these signs separate.
fn read(url: &str) -> Result<Parameters, String> {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let mut parameters = Parameters(Vec::new());
    let rest = match rest.find(['@', '/']) {
        Some(at) if rest[at..].starts_with('@') => {
            let (user, password) = match rest[..at].split_once(':') {
                Some((user, password)) => (user, Some(password)),
                None => (&rest[..at], None),
            };
            parameters.give("user", user)?;
            parameters.give("password", password.unwrap_or_default())?;
            &rest[at + 1..]
        }
        _ => rest,
    };
    if rest.contains('@') {
        return Err(UNREADABLE.to_owned());
    }
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (place, database) = rest.split_once('/').unwrap_or((rest, ""));
    let (host, port) = split_port(place)?;
    parameters.give("host", host)?;
    parameters.give("port", port)?;
    parameters.give("dbname", database)?;
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let Some((name, value)) = pair.split_once('=') else {
            return Err("a parameter of the address has no value: write name=value".to_owned());
        };
        let name = match decode(name)?.as_str() {
            "ssl-mode" => "sslmode".to_owned(),
            "ssl-root-cert" | "ssl-ca" => "sslrootcert".to_owned(),
            "ssl-cert" => "sslcert".to_owned(),
            "ssl-key" => "sslkey".to_owned(),
            name => name.to_owned(),
        };
        let value = decode(value)?;
        match (name.as_str(), value.as_str()) {
            ("ssl", "true") => parameters.set("sslmode", "require"),
            _ => parameters.set(&name, &value),
        }
    }
    Ok(parameters)
}

impl Parameters {
    /// Takes a part of the address itself; an empty one is none.
    fn give(&mut self, name: &str, text: &str) -> Result<(), String> {
        if !text.is_empty() {
            self.set(name, &decode(text)?);
        }
        Ok(())
    }
}

/// The host without the brackets of an IPv6 address, and the port.
fn split_port(place: &str) -> Result<(&str, &str), String> {
    if let Some(inside) = place.strip_prefix('[') {
        let (host, rest) = inside.split_once(']').ok_or("an IPv6 address ends with ]")?;
        return match rest.strip_prefix(':') {
            Some(port) => Ok((host, port)),
            None if rest.is_empty() => Ok((host, "")),
            None => Err("after the ] of an IPv6 address comes : and the port".to_owned()),
        };
    }
    if place.contains(',') {
        // A list of places is refused as one of hosts.
        return Ok((place, ""));
    }
    let (host, port) = place.split_once(':').unwrap_or((place, ""));
    if port.contains(':') {
        return Err("an IPv6 address is written in brackets: [::1]:5432".to_owned());
    }
    Ok((host, port))
}

fn decode(text: &str) -> Result<String, String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let [first, after @ ..] = rest {
        rest = after;
        if *first != b'%' {
            bytes.push(*first);
            continue;
        }
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        let byte =
            digits.filter(|digits| !digits.starts_with('+')).map(|digits| u8::from_str_radix(digits, 16));
        let Some(Ok(byte @ 1..)) = byte else { return Err(UNREADABLE.to_owned()) };
        bytes.push(byte);
        rest = &after[2..];
    }
    String::from_utf8(bytes).map_err(|_| UNREADABLE.to_owned())
}

/// Whether this server does what the parameter asks for.
fn is_met(name: &str, value: &str) -> Result<(), String> {
    if PASSED_OVER.contains(&name) {
        return Ok(());
    }
    match MET.iter().find(|(met, _)| *met == name) {
        Some((_, values)) if values.contains(&value) => Ok(()),
        Some((_, [])) => Err(format!("{name} is not supported: leave it out")),
        Some((_, values)) => Err(format!("{name} is supported only as {}", values.join(" or "))),
        // A name may be a piece of a password that was not encoded.
        None if name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_') => {
            Err(format!("{name} is not supported: leave it out"))
        }
        None => Err("the address has a parameter that is not supported".to_owned()),
    }
}

/// How the connection is secured. Who names an authority wants it verified.
fn secure(parameters: &mut Parameters, variable: &impl Fn(&str) -> Option<String>) -> Result<(), String> {
    let given = |name: &str, from: &str| parameters.find(name).map(str::to_owned).or_else(|| variable(from));
    let mode = given("sslmode", "PGSSLMODE").unwrap_or_else(|| "prefer".to_owned());
    if !MODES.contains(&mode.as_str()) {
        return Err(format!("sslmode must be one of {}", MODES.join(", ")));
    }
    let home = variable("HOME").map(|home| Path::new(&home).join(".postgresql/root.crt"));
    let is_strict = ["require", "verify-ca", "verify-full"].contains(&mode.as_str());
    let by_default = || {
        let path = home.filter(|path| is_strict && path.exists())?;
        path.to_str().map(str::to_owned)
    };
    let authority = given("sslrootcert", "PGSSLROOTCERT").or_else(by_default);
    let mode = match (mode.as_str(), authority.as_deref()) {
        // The public authorities, of which any would do for a name that nobody compares.
        ("verify-full", Some("system")) => {
            parameters.0.retain(|(name, _)| name != "sslrootcert");
            "verify-full"
        }
        (_, Some("system")) => return Err("sslrootcert=system needs sslmode=verify-full".to_owned()),
        ("verify-ca", None) => {
            return Err("sslmode=verify-ca needs sslrootcert, the file of the authority; or use verify-full"
                .to_owned());
        }
        ("require", Some(path)) => {
            parameters.set("sslrootcert", path);
            "verify-ca"
        }
        ("verify-ca" | "verify-full", Some(path)) => {
            parameters.set("sslrootcert", path);
            mode.as_str()
        }
        (_, Some(_)) => {
            return Err(format!(
                "sslrootcert is not looked at with sslmode={mode}: write require, verify-ca or verify-full"
            ));
        }
        // The driver speaks no TLS at all with it.
        ("allow", None) => "prefer",
        _ => mode.as_str(),
    }
    .to_owned();
    if mode == "verify-full" && parameters.find("hostaddr").is_some() && parameters.find("host").is_some() {
        return Err(
            "hostaddr beside host is not supported with sslmode=verify-full: name the host alone".to_owned()
        );
    }
    parameters.set("sslmode", &mode);
    Ok(())
}

#[cfg(test)]
mod tests {
    use sqlx::postgres::PgSslMode;

    use super::*;

    fn parse(url: &str) -> Result<PgConnectOptions, String> {
        super::parse(url, |_| None)
    }

    fn refusal(url: &str) -> String {
        parse(url).map(drop).unwrap_err()
    }

    #[test]
    fn the_parts_are_read_as_libpq_reads_them() {
        for (url, host, port) in [
            ("postgres://u:p@[::1]:5433/db", "::1", 5433),
            ("postgresql://u:p@[2001:db8::7]/db", "2001:db8::7", 5432),
            ("postgres://u:p@db.example.com/db", "db.example.com", 5432),
            ("postgres://u@/db?host=::1&port=6000", "::1", 6000),
            ("postgres://u:p%40%2F%3F#+&=@192.0.2.1:7/db", "192.0.2.1", 7),
        ] {
            let options = parse(url).unwrap();
            assert_eq!((options.get_host(), options.get_port()), (host, port), "{url}");
            assert_eq!((options.get_username(), options.get_database()), ("u", Some("db")), "{url}");
        }
        let socket = parse("postgres://u@%2Frun%2Fpostgres/a%20b").unwrap();
        assert_eq!(socket.get_socket().unwrap().to_str(), Some("/run/postgres"));
        assert_eq!(socket.get_database(), Some("a b"));
        assert_eq!(parse("postgres://u@h/a+b?user=c+d").unwrap().get_username(), "c+d");
    }

    #[test]
    fn what_cannot_be_read_is_said_without_the_password() {
        for url in [
            "postgres://u:SECRET@h1:5432,h2:5432/db",
            "postgres://u:SECRET@[::1/db",
            "postgres://u:SECRET@::1:5432/db",
            "postgres://u:SECRET%@h/db",
            "postgres://u:SECRET/SECRET@h/db",
            "postgres://u:SECRET@SECRET@h/db",
            "postgres://u:p@h/db?SECRET",
            "postgres://u:p@h/db?SECRET=1",
            "postgres://u:p@h:SECRET/db",
        ] {
            let why = refusal(url);
            assert!(!why.contains("SECRET"), "{url}: {why}");
        }
        assert!(refusal("postgres://u@h1,h2/db").contains("several hosts"));
        assert!(refusal("postgres://u@/db?host=h1,h2").contains("several hosts"));
    }

    #[test]
    fn what_asks_for_safety_is_kept_or_refused_by_name() {
        let mode = |query: &str| parse(&format!("postgres://u@h/db?{query}")).unwrap().get_ssl_mode();
        assert!(matches!(mode("sslmode=require"), PgSslMode::Require));
        assert!(matches!(mode("ssl=true"), PgSslMode::Require));
        assert!(matches!(mode("sslmode=allow"), PgSslMode::Prefer));
        assert!(matches!(mode("sslmode=require&sslrootcert=ca.crt"), PgSslMode::VerifyCa));
        assert!(matches!(mode("sslmode=verify-full&sslrootcert=ca.crt"), PgSslMode::VerifyFull));
        assert!(matches!(mode("sslmode=verify-full&sslrootcert=system"), PgSslMode::VerifyFull));
        mode("target_session_attrs=read-write&channel_binding=prefer&connect_timeout=10&gssencmode=disable");
        for (query, named) in [
            ("sslcrl=x", "sslcrl"),
            ("channel_binding=require", "channel_binding"),
            ("target_session_attrs=standby", "target_session_attrs"),
            ("gssencmode=require", "gssencmode"),
            ("sslcertmode=require", "sslcertmode"),
            ("require_auth=scram-sha-256", "require_auth"),
            ("ssl_min_protocol_version=TLSv1.3", "ssl_min_protocol_version"),
            ("passfile=x", "passfile"),
            ("sslmod=require", "sslmod"),
            ("sslmode=verify_full", "sslmode"),
            ("sslmode=verify-ca", "sslrootcert"),
            ("sslmode=require&sslrootcert=system", "sslrootcert"),
            ("sslrootcert=ca.crt", "sslrootcert"),
            ("sslmode=prefer&sslrootcert=ca.crt", "sslrootcert"),
        ] {
            let why = refusal(&format!("postgres://u@h/db?{query}"));
            assert!(why.contains(named), "{query}: {why}");
        }
    }

    #[test]
    fn the_variables_of_libpq_count_as_parameters() {
        let with = |name: &'static str, value: &'static str, url: &str| {
            super::parse(url, move |asked| (asked == name).then(|| value.to_owned()))
        };
        let plain = "postgres://u@h/db";
        assert!(matches!(
            with("PGSSLMODE", "verify-full", plain).unwrap().get_ssl_mode(),
            PgSslMode::VerifyFull
        ));
        for (name, value) in [
            ("PGSSLMODE", "verify_full"),
            ("PGREQUIREAUTH", "scram-sha-256"),
            ("PGCHANNELBINDING", "require"),
            ("PGSSLROOTCERT", "ca.crt"),
        ] {
            assert!(with(name, value, plain).is_err(), "{name}");
        }
        let strict = with("PGSSLROOTCERT", "ca.crt", "postgres://u@h/db?sslmode=require").unwrap();
        assert!(matches!(strict.get_ssl_mode(), PgSslMode::VerifyCa));
    }
}
