use super::*;
use proptest::prelude::*;

/// The decoded segments of a target that is accepted without an opaque tail, or the rule.
fn accept(target: &str) -> Result<Vec<Vec<u8>>, Fault> {
    let path = Path::read(target)?;
    match path.fault() {
        Some(fault) => Err(fault),
        None => Ok(path.decoded(false)?[1..].split(|byte| *byte == b'/').map(<[u8]>::to_vec).collect()),
    }
}

/// What a service that decodes twice, merges slashes, cuts `;` and resolves dots makes of a target.
fn lenient(target: &str) -> Vec<Vec<u8>> {
    let path = target.split('?').next().unwrap_or_default();
    let twice = decode(&decode(path.as_bytes()));
    let twice: Vec<u8> = twice.iter().map(|byte| if *byte == b'\\' { b'/' } else { *byte }).collect();
    let mut segments: Vec<Vec<u8>> = Vec::new();
    for segment in twice.split(|byte| *byte == b'/').skip(1) {
        match segment.split(|byte| *byte == b';').next().unwrap_or_default() {
            b"" | b"." => {}
            b".." => drop(segments.pop()),
            name => segments.push(name.to_vec()),
        }
    }
    segments
}

#[test]
fn plain_paths_are_accepted_as_they_are() {
    for (target, segments) in [
        ("/", vec![""]),
        ("/a", vec!["a"]),
        ("/a/", vec!["a", ""]),
        ("/a/b?x=/../;", vec!["a", "b"]),
        ("/A", vec!["A"]),
        ("/a.b/...", vec!["a.b", "..."]),
        ("/!$&'()*+,=:@", vec!["!$&'()*+,=:@"]),
        ("/caf%C3%A9/%c3%a9", vec!["café", "é"]),
        ("/a%20b", vec!["a b"]),
        ("/%22%7B", vec!["\"{"]),
    ] {
        let expected: Vec<Vec<u8>> = segments.iter().map(|segment| segment.as_bytes().to_vec()).collect();
        assert_eq!(accept(target), Ok(expected), "{target}");
    }
    let longest = format!("/{}", "a".repeat(MAX_TARGET - 1));
    assert!(accept(&longest).is_ok());
    assert_eq!(accept(&format!("{longest}a")), Err(Fault::TooLong));
}

#[test]
fn what_two_readers_read_differently_is_refused_by_rule() {
    for (target, fault) in [
        ("", Fault::NotAbsolute),
        ("*", Fault::NotAbsolute),
        ("http://app/b", Fault::NotAbsolute),
        ("a", Fault::NotAbsolute),
        ("/a b", Fault::NotVisible),
        ("/a\u{7f}", Fault::NotVisible),
        ("/é", Fault::NotVisible),
        ("/a?\0", Fault::NotVisible),
        ("/a#f", Fault::Fragment),
        ("/a?x#y", Fault::Fragment),
        ("/a/../b", Fault::Dot),
        ("/../b", Fault::Dot),
        ("/a/./b", Fault::Dot),
        ("/a/.", Fault::Dot),
        ("/a/..", Fault::Dot),
        ("/a//b", Fault::Empty),
        ("//a/b", Fault::Empty),
        ("/a//", Fault::Empty),
        ("/a;x=1/b", Fault::Parameter),
        ("/a/..;/b", Fault::Dot),
        ("/a\\b", Fault::Character),
        ("/|", Fault::Character),
        ("/\"", Fault::Character),
        ("/<", Fault::Character),
        ("/{", Fault::Character),
        ("/a^", Fault::Character),
        ("/a%2e%2e/b", Fault::EscapedPlain),
        ("/a/%2e%2e/b", Fault::EscapedPlain),
        ("/%61", Fault::EscapedPlain),
        ("/a%7Eb", Fault::EscapedPlain),
        ("/a%2fb", Fault::EscapedSlash),
        ("/a/..%2fb", Fault::Dot),
        ("/a%2F..%2fb", Fault::Dot),
        ("/a%5cb", Fault::EscapedSpecial),
        ("/a%00", Fault::EscapedSpecial),
        ("/a%3b", Fault::EscapedSpecial),
        ("/a%3Fb", Fault::EscapedSpecial),
        ("/a%23", Fault::EscapedSpecial),
        ("/a%7f", Fault::EscapedSpecial),
        ("/a%252e%252e/b", Fault::EscapedSpecial),
        ("/a%", Fault::Escape),
        ("/a%z", Fault::Escape),
        ("/a%zz", Fault::Escape),
        ("/a%2", Fault::Escape),
        ("/a%+1", Fault::Escape),
        ("/%c0%ae", Fault::NotUtf8),
        ("/%ff", Fault::NotUtf8),
        ("/%c3/%a9", Fault::NotUtf8),
    ] {
        assert_eq!(accept(target), Err(fault), "{target}");
        assert!(!fault.to_string().contains(target.trim_start_matches('/')) || target.len() < 3);
    }
}

#[test]
fn an_opaque_tail_may_have_slashes_and_parameters_but_no_dots() {
    for (target, after) in
        [("/files/a%2fb", 1), ("/files/x;v=1", 1), ("/files//x", 1), ("/x/y/;", 2), ("//", 0)]
    {
        assert_eq!(Path::read(target).unwrap().opaque_after(), Some(after), "{target}");
    }
    for target in [
        "/files/..;/b",
        "/files/..%2fadmin",
        "/files/a%2f..",
        "/files/x%2f.%2fy",
        "/files/;/../x",
        "/files/%2e%2e%2fx",
        "/files/a%5cb;",
        "/files/a%252fb;",
        "/files/.;x",
    ] {
        assert!(Path::read(target).is_err(), "{target}");
    }
    let path = Path::read("/files/a/b%2fc/d").unwrap();
    assert_eq!(&*path.decoded(false).unwrap(), b"/files/a");
}

#[test]
fn folding_never_makes_a_plain_letter_of_another() {
    let folds = |target: &'static str| Path::read(target).unwrap().decoded(true).map(Cow::into_owned);
    assert_eq!(folds("/ADMIN/x").unwrap(), b"/admin/x");
    assert_eq!(folds("/admin").unwrap(), b"/admin");
    assert_eq!(folds("/CAF%C3%89").unwrap(), "/café".as_bytes());
    // U+212A KELVIN SIGN, U+017F LONG S, U+0131 DOTLESS I, U+0130 and the ligature of f and i.
    for target in ["/%E2%84%AA", "/%C5%BF", "/%C4%B1", "/%C4%B0", "/%EF%AC%81"] {
        assert_eq!(folds(target), Err(Fault::Character), "{target}");
    }
}

/// Pieces that attacks are made of.
fn piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9._~-]{0,3}",
        3 => Just("/".to_owned()),
        2 => prop_oneof![Just("."), Just(".."), Just("%2e"), Just("%2f"), Just("%2F"), Just("%5c"), Just("%25"),
            Just(";"), Just("\\"), Just("%252e"), Just("%252f"), Just("?"), Just("#"), Just("%3b"), Just("%c3%a9"),
            Just("%00"), Just("%20"), Just("@"), Just("%")].prop_map(str::to_owned),
        1 => "%[0-9a-fA-F]{2}",
        1 => any::<char>().prop_map(|c| c.to_string()),
    ]
}

fn target() -> impl Strategy<Value = String> {
    proptest::collection::vec(piece(), 0..12).prop_map(|pieces| format!("/{}", pieces.concat()))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn an_accepted_path_means_the_same_to_the_most_lenient_service(target in target()) {
        if let Ok(segments) = accept(&target) {
            let named: Vec<_> = segments.into_iter().filter(|segment| !segment.is_empty()).collect();
            prop_assert_eq!(lenient(&target), named);
        }
    }

    #[test]
    fn an_opaque_tail_stays_below_its_canonical_beginning(target in target()) {
        if let Ok(path) = Path::read(&target)
            && let Some(after) = path.opaque_after()
        {
            let beginning = path.decoded(false).unwrap();
            let beginning: Vec<_> = beginning.split(|b| *b == b'/').skip(1).map(<[u8]>::to_vec).collect();
            prop_assert_eq!(beginning.len(), after);
            prop_assert_eq!(&lenient(&target)[..after], &beginning[..]);
        }
    }

    #[test]
    fn any_text_is_read_or_refused(target in "\\PC*") {
        if let Ok(path) = Path::read(&target) {
            prop_assert!(path.as_str().starts_with('/') && target.starts_with(path.as_str()));
        }
    }
}
