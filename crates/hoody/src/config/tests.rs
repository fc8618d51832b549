use std::collections::BTreeMap;

use super::*;

fn load(flags: &ServerFlags, env: &[(&str, &str)]) -> anyhow::Result<Config> {
    let env: BTreeMap<_, _> =
        env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    Config::load(flags, &|name| env.get(name).cloned())
}

fn source(config: &Config, wanted: &str) -> Source {
    config.shown.iter().find(|(name, ..)| *name == wanted).unwrap().2
}

#[test]
fn without_anything_the_defaults_of_the_design_hold() {
    let config = load(&ServerFlags::default(), &[]).unwrap();
    assert_eq!(config.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(config.settings.engine.public_url, "http://api.localhost:8080");
    assert_eq!(config.data_dir, PathBuf::from("./hoody-data"));
    assert!(config.settings.engine.exposure_warning.is_none());
    assert!(config.shown.iter().all(|(_, _, source)| *source == Source::Default));
}

#[test]
fn flag_then_environment_then_file_then_default() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hoody.toml");
    std::fs::write(&path, "listen = \"127.0.0.1:1\"\ndomain = \"file.test\"\nlog = \"warn\"\n").unwrap();
    let flags = ServerFlags {
        listen: Some("127.0.0.1:3".to_owned()),
        config: Some(path.display().to_string()),
        ..ServerFlags::default()
    };
    let config = load(&flags, &[("HOODY_LISTEN", "127.0.0.1:2"), ("HOODY_DOMAIN", "env.test")]).unwrap();
    assert_eq!(config.listen.port(), 3);
    assert_eq!(config.settings.engine.domain.to_string(), "env.test");
    assert_eq!(config.log, "warn");
    assert_eq!(source(&config, "listen"), Source::Flag);
    assert_eq!(source(&config, "domain"), Source::Environment);
    assert_eq!(source(&config, "log"), Source::File);
    assert_eq!(source(&config, "data-dir"), Source::Default);
}

#[test]
fn an_unknown_key_of_the_file_is_named_and_one_of_the_environment_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hoody.toml");
    std::fs::write(&path, "listne = \"127.0.0.1:1\"\n").unwrap();
    let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
    let error = load(&flags, &[]).unwrap_err().to_string();
    assert!(error.contains("listne"), "{error}");
    assert!(load(&ServerFlags::default(), &[("HOODY_TOKEN", "hdy_x"), ("HOODY_LISTNE", "x")]).is_ok());
}

#[test]
fn a_bad_value_is_named_with_its_source_and_never_shown_when_it_may_hold_a_password() {
    let env = [("HOODY_DATABASE_URL", "mysql://ada:geheim@db/x")];
    let error = load(&ServerFlags::default(), &env).unwrap_err().to_string();
    assert!(error.contains("database-url (from HOODY_DATABASE_URL)"), "{error}");
    assert!(!error.contains("geheim"), "{error}");
    let env = [("HOODY_DATABASE_URL", "postgres://ada:geheim@db/x?sslpassword=geheim")];
    let error = load(&ServerFlags::default(), &env).unwrap_err().to_string();
    assert!(error.contains("sslpassword") && !error.contains("geheim"), "{error}");
    let env = [("HOODY_DATABASE_URL", "postgres://ada:geheim@db/x?password=geheim")];
    let config = load(&ServerFlags::default(), &env).unwrap();
    assert!(!format!("{config:?}").contains("geheim"));
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hoody.toml");
    std::fs::write(&path, "database-url = \"postgres://ada:geheim@db\n").unwrap();
    let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
    let error = load(&flags, &[]).unwrap_err().to_string();
    assert!(error.contains("line 1") && !error.contains("geheim"), "{error}");
}

#[test]
fn what_a_flag_says_wrong_is_wrong_usage_and_what_others_say_is_not() {
    let flags = |change: fn(&mut ServerFlags)| {
        let mut flags = ServerFlags::default();
        change(&mut flags);
        load(&flags, &[]).unwrap_err().is::<WrongUsage>()
    };
    assert!(flags(|flags| flags.listen = Some("x".to_owned())));
    assert!(flags(|flags| flags.activity = Some("maybe".to_owned())));
    assert!(flags(|flags| flags.tls_cert = Some("cert.pem".to_owned())));
    assert!(flags(|flags| flags.smtp_url = Some("smtp://mail.test".to_owned())));
    // The file is not there: the command line is as it should be.
    assert!(!flags(|flags| flags.config = Some("nowhere.toml".to_owned())));
    for (name, value) in [("HOODY_LISTEN", "x"), ("HOODY_TLS_CERT", "cert.pem")] {
        let error = load(&ServerFlags::default(), &[(name, value)]).unwrap_err();
        assert!(!error.is::<WrongUsage>(), "{error}");
    }
}

#[test]
fn delegation_has_a_depth_from_1_to_16() {
    let depth = |text| load(&ServerFlags::default(), &[("HOODY_MAX_DELEGATION_DEPTH", text)]);
    assert_eq!(depth("16").unwrap().settings.max_delegation_depth, 16);
    for wrong in ["0", "17", "-1", "two", "1.5"] {
        let error = depth(wrong).unwrap_err().to_string();
        assert!(error.contains("max-delegation-depth (from HOODY_MAX_DELEGATION_DEPTH)"), "{error}");
    }
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("hoody.toml");
    std::fs::write(&path, "max-delegation-depth = 5\n").unwrap();
    let flags = ServerFlags { config: Some(path.display().to_string()), ..ServerFlags::default() };
    assert_eq!(load(&flags, &[]).unwrap().settings.max_delegation_depth, 5);
}

#[test]
fn a_size_has_a_unit_and_is_not_tiny() {
    for (text, bytes) in [("64MiB", 64 << 20), ("1GiB", 1 << 30), ("2048KiB", 2 << 20), ("1048576", 1 << 20)]
    {
        assert_eq!(size(text), Ok(bytes), "{text}");
    }
    for wrong in
        ["", "MiB", "64", "64MB", "64 MiB", "-1MiB", "+64MiB", "1.5GiB", "1KiB", "99999999999999999999GiB"]
    {
        assert!(size(wrong).is_err(), "{wrong}");
    }
    let error = load(&ServerFlags::default(), &[("HOODY_GRANT_CACHE", "big")]).unwrap_err().to_string();
    assert!(error.contains("grant-cache (from HOODY_GRANT_CACHE)"), "{error}");
}

#[test]
fn listening_to_the_world_in_the_clear_is_warned_of() {
    let open = load(&ServerFlags::default(), &[("HOODY_LISTEN", "0.0.0.0:8080")]).unwrap();
    assert!(open.settings.engine.exposure_warning.is_some());
    let behind = [("HOODY_LISTEN", "0.0.0.0:8080"), ("HOODY_TRUSTED_PROXIES", "10.0.0.0/8")];
    assert!(load(&ServerFlags::default(), &behind).unwrap().settings.engine.exposure_warning.is_none());
}

#[test]
fn an_address_to_listen_on_is_what_people_mean() {
    for (given, meant) in [
        ("localhost:8080", "127.0.0.1:8080"),
        ("LocalHost:0", "127.0.0.1:0"),
        (":8080", "0.0.0.0:8080"),
        ("*:443", "0.0.0.0:443"),
        (" 127.0.0.1:8080\n", "127.0.0.1:8080"),
        ("[::]:8080", "[::]:8080"),
    ] {
        let config = load(&ServerFlags::default(), &[("HOODY_LISTEN", given)]).unwrap();
        assert_eq!(config.listen.to_string(), meant, "{given:?}");
    }
    for wrong in ["8080", ":", ":x", ":+1", ":65536", "localhost", "example.com:80", "::1:8080:"] {
        let error = load(&ServerFlags::default(), &[("HOODY_LISTEN", wrong)]).unwrap_err().to_string();
        assert!(error.contains("listen (from HOODY_LISTEN)"), "{wrong}: {error}");
    }
}

#[test]
fn yes_and_no_are_taken_in_the_words_that_people_use() {
    let is_tls =
        |text| load(&ServerFlags::default(), &[("HOODY_TLS_SELF_SIGNED", text)]).unwrap().tls.is_some();
    for yes in ["1", "true", "TRUE", "True", "yes", "on", " on\n", "Y"] {
        assert!(is_tls(yes), "{yes:?}");
    }
    for no in ["0", "false", "FALSE", "no", "off", "n", " ", ""] {
        assert!(!is_tls(no), "{no:?}");
    }
    let is_on = |text| {
        load(&ServerFlags::default(), &[("HOODY_ACTIVITY", text)]).unwrap().settings.engine.activity.is_on
    };
    assert!(is_on("on") && is_on("true") && !is_on("off") && !is_on("OFF") && !is_on("0"));
    for (name, value) in
        [("HOODY_TLS_SELF_SIGNED", "maybe"), ("HOODY_ACTIVITY", "maybe"), ("HOODY_LOG", "nope=loud")]
    {
        assert!(load(&ServerFlags::default(), &[(name, value)]).is_err(), "{name}");
    }
    assert!(load(&ServerFlags::default(), &[("HOODY_LOG_FORMAT", "JSON")]).unwrap().is_log_json);
}

#[test]
fn secrets_lose_their_line_end_and_keep_their_blanks() {
    for ending in ["", "\n", "\r\n"] {
        let given = format!(" correct horse battery {ending}");
        let name = format!("root{ending}");
        let env = [("HOODY_ADMIN_PASSWORD", given.as_str()), ("HOODY_ADMIN_USERNAME", name.as_str())];
        let first = load(&ServerFlags::default(), &env).unwrap().first_account;
        assert_eq!(first.password.unwrap().expose(), " correct horse battery ");
        assert_eq!(first.username.as_deref(), Some("root"));
    }
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("smtp");
    std::fs::write(&file, "\u{feff}ada\r\n\r\n two words \r\n").unwrap();
    let file = file.display().to_string();
    let env = [
        ("HOODY_SMTP_URL", "smtp://mail.test"),
        ("HOODY_MAIL_FROM", "a@b.test"),
        ("HOODY_SMTP_CREDENTIALS_FILE", file.as_str()),
    ];
    let given = load(&ServerFlags::default(), &env).unwrap().settings.mail.route;
    let mail::Route::Smtp { credentials: Some((name, password)), .. } = given else { panic!("{given:?}") };
    assert_eq!((name.as_str(), password.expose()), ("ada", " two words "));
}

#[test]
fn checking_finds_what_serve_would_end_with() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name).display().to_string();
    let check = |env: &[(&str, &str)]| {
        let data_dir = place("data");
        let env = [&[("HOODY_DATA_DIR", data_dir.as_str())], env].concat();
        load(&ServerFlags::default(), &env).and_then(|config| config.check())
    };
    check(&[]).unwrap();
    check(&[("HOODY_MASTER_KEY", &format!("{}\n", "ab".repeat(32)))]).unwrap();
    std::fs::write(place("short"), "ab".repeat(31)).unwrap();
    std::fs::write(place("marked"), format!("\u{feff}{}\r\n", "ab".repeat(32))).unwrap();
    check(&[("HOODY_MASTER_KEY_FILE", &place("marked"))]).unwrap();
    for wrong in [
        [("HOODY_MASTER_KEY", "a".repeat(63))],
        [("HOODY_MASTER_KEY_FILE", place("short"))],
        [("HOODY_MASTER_KEY_FILE", place(""))],
        [("HOODY_DATA_DIR", place("short"))],
        [("HOODY_ADMIN_PASSWORD", "short".to_owned())],
        [("HOODY_ADMIN_USERNAME", "a b".to_owned())],
        [("HOODY_ADMIN_EMAIL", "nobody".to_owned())],
        [("HOODY_LOG", "hoody=loud".to_owned())],
    ] {
        let wrong = wrong.each_ref().map(|(name, value)| (*name, value.as_str()));
        assert!(check(&wrong).is_err(), "{wrong:?}");
    }
    // No key is made for a server's database, nor beside one that has data.
    let error = check(&[("HOODY_DATABASE_URL", "postgres://hoody@db/hoody")]).unwrap_err().to_string();
    assert!(error.contains("hoody admin keys init"), "{error}");
    std::fs::create_dir(place("data")).unwrap();
    std::fs::write(place("data/hoody.db"), "x").unwrap();
    assert!(check(&[]).is_err());
}

#[test]
fn two_sources_of_the_master_key_are_refused() {
    let env = [("HOODY_MASTER_KEY", "00"), ("HOODY_MASTER_KEY_FILE", "k")];
    assert!(load(&ServerFlags::default(), &env).is_err());
}

#[test]
fn a_public_address_with_more_than_scheme_host_and_port_is_refused() {
    for good in ["https://a.example.com", "https://a.example.com:8443/", "http://[::1]:8080"] {
        assert_eq!(url(good).unwrap(), good.trim_end_matches('/'));
    }
    for bad in
        ["https://a/path", "https://a?q", "https://a#x", "https://a:70000", "https://a:", "https://u@a"]
    {
        assert!(url(bad).is_err(), "{bad}");
    }
}
