//! The curl and `hoody` lines of the seeds, run as written but for what [`REPLACED`] lists.
//!
//! seeds.txt holds the lines and what must come of them, and says how it is to be read.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::path::Path;

use crate::support::{HOODY, Place, Ran, Server, finish, on_both};

const SEEDS: &str = include_str!("seeds.txt");

/// The accounts that the pages speak of: username, address, password.
const ACCOUNTS: [(&str, &str, &str); 2] = [
    ("your_username", "you@example.com", "your_password"),
    ("dev_user", "dev@example.com", "strong_password_here"),
];

/// What lines may save for each other.
const NAMES: [&str; 6] = ["JWT", "REFRESH", "HOODY_TOKEN", "AUTH_TOKEN", "NEW_TOKEN", "TOKEN_ID"];

/// Something in the lines of the seeds that cannot stay as it is.
struct Replacement {
    from: &'static str,
    /// `{NAME}` is what an earlier line saved under that name.
    to: &'static str,
    why: &'static str,
    /// Only in this part; everywhere when empty.
    part: &'static str,
    /// Only once this instant is past, in seconds since 1970; always when 0.
    since: u64,
}

const fn replace(from: &'static str, to: &'static str, why: &'static str) -> Replacement {
    Replacement { from, to, why, part: "", since: 0 }
}

/// Everything that is replaced, in this order.
const REPLACED: [Replacement; 16] = [
    replace("https://api.hoody.icu", "http://api.localhost:{PORT}", "host: the server under test"),
    Replacement { part: "current token", ..replace("<token>", "{HOODY_TOKEN}", "secret: a token's") },
    Replacement { part: "own public profile", ..replace("<token>", "{HOODY_TOKEN}", "secret: a token's") },
    replace("<token>", "{JWT}", "secret: the session's"),
    replace(
        r#""refreshToken": "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...""#,
        r#""refreshToken": "{REFRESH}""#,
        "secret: the session's refresh token",
    ),
    replace("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9...", "{JWT}", "secret: the session's access token"),
    replace(
        r#""refreshToken": "eyJhbG...""#,
        r#""refreshToken": "{REFRESH}""#,
        "secret: as above, cut shorter",
    ),
    replace("eyJhbG...", "{JWT}", "secret: as above, cut shorter"),
    replace("YOUR_JWT", "{JWT}", "secret: the session's access token"),
    replace("hdy_abc123XyZ456...", "{HOODY_TOKEN}", "secret: the token's that was just made"),
    replace("507f1f77bcf86cd799439011", "{TOKEN_ID}", "id: the token's; realms keep theirs"),
    replace("{old_token_id}", "{TOKEN_ID}", "id: the token's"),
    replace("203.0.113.10", "127.0.0.1", "address: the caller's"),
    Replacement {
        since: 1_767_225_599,
        ..replace("1767225599000", "4102444799000", "past instant: 2025-12-31T23:59:59Z")
    },
    Replacement {
        since: 1_807_488_000,
        ..replace("2027-04-12T00:00:00Z", "2099-04-12T00:00:00Z", "past instant, once it is")
    },
    replace(r"\ ", "\\\n", "line break: one page was saved without them"),
];

/// A command with what must come of it.
#[derive(Debug, Default)]
struct Step {
    page: &'static str,
    part: &'static str,
    lines: Vec<&'static str>,
    is_seed: bool,
    expected: Vec<&'static str>,
}

fn steps() -> Vec<Step> {
    let (mut page, mut part) = ("", "");
    let mut steps: Vec<Step> = Vec::new();
    for line in SEEDS.lines() {
        if let Some(title) = line.strip_prefix("== ") {
            page = title;
        } else if let Some(title) = line.strip_prefix("-- ") {
            part = title;
        } else if let Some(expected) = line.strip_prefix("= ") {
            steps.last_mut().unwrap().expected.push(expected);
        } else if let Some(command) = line.strip_prefix("! ") {
            steps.push(Step { page, part, lines: vec![command], ..Step::default() });
        } else if let Some(command) = line.strip_prefix("| ") {
            match steps.last_mut() {
                Some(step)
                    if step.is_seed && step.expected.is_empty() && step.part == part && step.page == page =>
                {
                    step.lines.push(command);
                }
                _ => steps.push(Step { page, part, lines: vec![command], is_seed: true, ..Step::default() }),
            }
        }
    }
    steps
}

impl Step {
    fn applies(&self, replacement: &Replacement) -> bool {
        replacement.part.is_empty() || replacement.part == self.part
    }

    /// The command as it is run.
    fn command(&self, saved: &HashMap<&str, String>) -> String {
        let mut command = self.lines.join("\n");
        if !self.is_seed {
            return command;
        }
        for replacement in REPLACED.iter().filter(|replacement| self.applies(replacement)) {
            if command.contains(replacement.from) && replacement.since <= seconds() {
                command = command.replace(replacement.from, &filled(replacement.to, saved));
            }
        }
        command
    }
}

/// `text` with what was saved in the place of each `{NAME}`.
fn filled(text: &str, saved: &HashMap<&str, String>) -> String {
    saved.iter().fold(text.to_owned(), |text, (name, value)| text.replace(&format!("{{{name}}}"), value))
}

#[expect(
    clippy::disallowed_methods,
    reason = "which instants of the seeds are past is a matter of the real clock"
)]
fn seconds() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs()
}

/// A shell that goes from step to step.
struct Shell {
    place: Place,
    base: String,
    saved: HashMap<&'static str, String>,
}

impl Shell {
    async fn open(place: Place) -> (Self, Server) {
        let server = place.serve().await;
        for (username, email, password) in ACCOUNTS {
            let create = ["admin", "users", "create", username, "--email", email, "--password", password];
            place.run(&create).await.ended(0);
        }
        // The status that curl got, where no line has to be changed for it.
        let curl = "silent\nshow-error\nwrite-out = \"%{stderr}%{http_code}\\n\"\n";
        std::fs::write(place.path(".curlrc"), curl).unwrap();
        std::fs::write(place.path(".variables"), "").unwrap();
        let saved = HashMap::from([("PORT", server.port().to_string())]);
        (Self { base: server.base.clone(), place, saved }, server)
    }

    async fn run(&mut self, step: &Step) {
        let command = step.command(&self.saved);
        let mut script = ". ./.variables\n".to_owned();
        writeln!(script, "{command}\nended=$?").unwrap();
        write!(script, "declare -p {} > .variables 2>/dev/null\nexit $ended", NAMES.join(" ")).unwrap();
        let mut bash = self.place.command("bash");
        let directory = Path::new(HOODY).parent().unwrap();
        let path = format!("{}:{}", directory.display(), std::env::var("PATH").unwrap());
        bash.args(["-c", &script]).env("PATH", path);
        bash.env("HOODY_BASE_URL", &self.base).env("PORT", &self.saved["PORT"]);
        let ran = finish(bash, "").await;
        let context = format!("{}, {}: {command}\n{ran:?}", step.page, step.part);
        if !step.expected.iter().any(|expected| expected.starts_with("exit")) {
            assert_eq!(ran.code, Some(0), "{context}");
        }
        for expected in &step.expected {
            self.expect(expected, &ran, &context).await;
        }
    }

    async fn expect(&mut self, expected: &str, ran: &Ran, context: &str) {
        let (kind, rest) = expected.split_once(' ').unwrap();
        match kind {
            "exit" => assert_eq!(ran.code, Some(rest.parse().unwrap()), "{context}"),
            "status" => {
                let status = ran.stderr.lines().rev().find(|line| line.parse::<u16>().is_ok());
                assert_eq!(status, Some(rest), "{context}");
            }
            "prints" => assert!(ran.text().contains(rest), "{expected}: {context}"),
            "jq" => {
                let checked = self.jq(&["-e", &filled(rest, &self.saved)], &ran.stdout).await;
                assert_eq!(checked.code, Some(0), "{expected}: {checked:?}: {context}");
            }
            "save" => {
                let (name, filter) = rest.split_once(' ').unwrap_or((rest, ""));
                let value = match filter {
                    "" => ran.stdout.trim().to_owned(),
                    filter => self.jq(&["-r", filter], &ran.stdout).await.stdout.trim().to_owned(),
                };
                assert!(!value.is_empty() && value != "null", "{expected}: {context}");
                self.save(name, value);
            }
            _ => panic!("{expected}"),
        }
    }

    /// Keeps a value for the table and for the shell.
    fn save(&mut self, name: &str, value: String) {
        let name = NAMES.into_iter().find(|known| *known == name).unwrap();
        let path = self.place.path(".variables");
        let mut variables = std::fs::read_to_string(&path).unwrap();
        writeln!(variables, "{name}='{value}'").unwrap();
        std::fs::write(path, variables).unwrap();
        self.saved.insert(name, value);
    }

    async fn jq(&self, arguments: &[&str], input: &str) -> Ran {
        let mut jq = self.place.command("jq");
        jq.args(arguments);
        finish(jq, input).await
    }
}

async fn run_page(place: Place, page: &str) {
    let (mut shell, server) = Shell::open(place).await;
    let steps: Vec<_> = steps().into_iter().filter(|step| step.page == page).collect();
    assert!(!steps.is_empty(), "{page}");
    for step in &steps {
        shell.run(step).await;
    }
    server.stop().await;
}

on_both! {
    async fn the_lines_of_the_reference_work(place: Place) {
        run_page(place, "api-tokens-reference.txt").await;
    }

    async fn the_lines_of_the_guide_work(place: Place) {
        run_page(place, "authentication-guide.txt").await;
    }

    async fn the_lines_of_the_guide_with_sdk_examples_work(place: Place) {
        run_page(place, "authentication-guide-with-sdk-examples.txt").await;
    }

    async fn realms_are_reached_as_the_pages_tell(place: Place) {
        run_page(place, "realms, as the pages tell of them").await;
    }
}

/// The table says no more than what is needed, and why.
#[test]
fn every_replacement_is_needed_and_explained() {
    let steps = steps();
    for replacement in &REPLACED {
        let is_needed = steps.iter().filter(|step| step.is_seed && step.applies(replacement));
        let is_needed = is_needed.flat_map(|step| &step.lines).any(|line| line.contains(replacement.from));
        assert!(is_needed, "{}: nothing to replace", replacement.from);
        assert!(!replacement.why.is_empty());
    }
}
